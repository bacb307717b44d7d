# `make demo` and `make test` do all the set-up themselves, each in an environment under .venv/.
PYTHON ?= python3
OLDEST_PYTHON ?= python3.10
NEWEST_PYTHON ?= python3.13

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# Versions and hashes, for the Python and platform of continuous integration; elsewhere the newest are taken.
LOCK := requirements/dev-$(shell $(PYTHON) -c 'import sys, sysconfig as s; print("cp%d%d-" % sys.version_info[:2] + s.get_platform())').lock
# What `make test-oldest` and `make test-newest` run; the rest needs torch, or tools that have no say in this.
CORE_TOOLS := 'pytest>=8' 'hypothesis>=6.100' 'onnx>=1.16' 'httpx2>=2' 'httpx<1'
CORE := tests/pipeline tests/cli tests/bundle tests/backends tests/fuzz/test_properties.py tests/test_any_size.py \
    tests/test_control.py tests/test_image_io.py tests/test_inpainter.py tests/test_mask_colours.py tests/test_masks.py \
    tests/test_threads.py

.PHONY: demo test test-oldest test-newest lock wheel clean

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
	# A process a core, with whole files of tests and in their order: what a file or a folder sets up is made once.
	.venv/dev/bin/pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.venv/demo/ready: pyproject.toml
	$(PYTHON) -m venv .venv/demo
	.venv/demo/bin/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev/ready: pyproject.toml Makefile requirements/alone.txt $(wildcard $(LOCK))
	$(PYTHON) -m venv .venv/dev
	if [ -f $(LOCK) ]; then .venv/dev/bin/python $(PIP_INSTALL) --no-deps --require-hashes --requirement $(LOCK); \
	else .venv/dev/bin/python $(PIP_INSTALL) 'setuptools>=77'; fi
	.venv/dev/bin/python $(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	.venv/dev/bin/python $(PIP_INSTALL) --no-deps --requirement requirements/alone.txt
	# Finds what people with disabilities could not use on the page; run in the tests, in Chromium.
	# And what reads types beside mypy.
	-npm install --silent --no-audit --no-fund --prefix .venv/dev/npm axe-core@4.14.1 pyright@1.1.414
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

# The least and the newest that pyproject.toml allows.
test-oldest: .venv/oldest/ready
	.venv/oldest/bin/python -m pytest $(CORE)

test-newest: .venv/newest/ready
	.venv/newest/bin/python -m pytest $(CORE)

.venv/oldest/ready: pyproject.toml Makefile requirements/oldest.txt
	$(OLDEST_PYTHON) -m venv .venv/oldest
	.venv/oldest/bin/python $(PIP_INSTALL) --constraint requirements/oldest.txt --editable '.[server,video]' $(CORE_TOOLS)
	@touch $@

.venv/newest/ready: pyproject.toml Makefile
	$(NEWEST_PYTHON) -m venv .venv/newest
	.venv/newest/bin/python $(PIP_INSTALL) --upgrade --editable '.[server,video]' $(CORE_TOOLS)
	@touch $@

# Locks the newest of everything; commit the file when the tests pass with it.
lock:
	$(PYTHON) -m venv --clear .venv/lock
	.venv/lock/bin/python packaging/lock.py $(LOCK)

# The wheel, the same bytes whenever and wherever it is made of the same files, and the bill of its materials.
wheel: .venv/dev/ready
	.venv/dev/bin/python packaging/wheel.py dist
	$(PYTHON) -m venv --clear .venv/wheel
	.venv/wheel/bin/python $(PIP_INSTALL) packaging dist/*.whl
	.venv/wheel/bin/python packaging/sbom.py > dist/iic-rt.cdx.json

clean:
	rm -rf .venv demo-output build dist *.egg-info
