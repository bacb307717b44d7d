"""What the settings of ``iic::PatchSearch`` do to the pictures.

``python -m benchmarks.search --data eval-public.tar --side 512 --out benchmarks/results/x86-2-cores/search.json``

Each setting is a copy of the bundle with other attributes; the CPU backends read them from the manifest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.data import Case, load_cases, squared
from benchmarks.evaluate import evaluate
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, MANIFEST, load_bundle
from iic_rt.patches import SearchOptions

__all__ = ["changed", "main", "measure", "settings"]


def settings(default: SearchOptions) -> dict[str, dict[str, Any]]:
    """Changes of the attributes by name. Coherence is given as cosine."""
    apart: dict[str, Any] = {"sweeps": 0, "coherence": 0.0}
    found = {f"best {best}": apart | {"best": best} for best in (1, 4, 16, 64)}
    for coherence in (0.05, 0.1, 0.2, 0.4):
        found[f"coherence {coherence}"] = {"best": 1, "sweeps": 4, "coherence": coherence * default.scale}
    return found


def changed(bundle: Path, to: Path, **attributes: Any) -> Path:
    """A copy of the bundle whose search has other attributes."""
    shutil.copytree(bundle, to)
    manifest = json.loads((to / MANIFEST).read_text())
    manifest["search"] |= attributes
    (to / MANIFEST).write_text(json.dumps(manifest))
    return to


def measure(cases: list[Case], bundle: Path, variants: dict[str, dict[str, Any]], pictures: Path | None) -> Any:
    """Scores of every variant, on masks as they are."""
    exact = InpaintOptions(grow=0)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, attributes) in enumerate(variants.items()):
            with Inpainter(changed(bundle, Path(folder) / str(i), **attributes), backend="onnxruntime") as inpainter:
                method = {name: lambda image, hole, i=inpainter: i.inpaint(image, hole, options=exact).image}
                sheets = None if pictures is None else pictures / name.replace(" ", "-")
                found |= evaluate(cases, method, pictures=sheets)["methods"]  # type: ignore[arg-type]
            print(name, found[name], flush=True)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="tar with images/, masks/ and meta.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--side", type=int, default=512, help="squares of so many pixels are cut (default %(default)s)")
    parser.add_argument("--limit", type=int, help="first N pictures only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the settings")
    parser.add_argument("--pictures", type=Path, help="folder for sheets")
    options = parser.parse_args(argv)
    bundle = load_bundle(options.bundle)
    variants = settings(bundle.search)
    unknown = set(options.only or ()) - set(variants)
    if unknown:
        parser.error(f"no setting {', '.join(sorted(unknown))}; there are: {', '.join(variants)}")
    chosen = {name: changes for name, changes in variants.items() if not options.only or name in options.only}
    cases = [squared(case, options.side) for case in load_cases(options.data, limit=options.limit)]
    found = measure(cases, bundle.folder, chosen, options.pictures)
    facts = {"data": options.data.name, "side": options.side, "pictures": len(cases), "methods": found}
    write_record(options.out, environment(bundle) | facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
