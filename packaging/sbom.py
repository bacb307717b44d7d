"""Writes the software bill of materials of iic-rt as it is installed here: CycloneDX 1.6, as JSON.

``python packaging/sbom.py --extra openvino --extra server > iic-rt.cdx.json``: the wheel, all that it and these extras
need, with licences and who needs whom, and the bundle's files with their hashes. ``weights`` are the trained ones that
its graphs were made from. It needs nothing but an installed iic-rt and ``packaging``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME = "iic-rt"


def installed(extras: set[str]) -> dict[str, tuple[Distribution, set[str]]]:
    """What is needed, by name: the installed distribution, and the names of what it needs itself.

    Raises:
        SystemExit: something that is needed is not installed.
    """
    found: dict[str, tuple[Distribution, set[str]]] = {}
    asked: dict[str, set[str]] = {}
    waiting: list[tuple[str, set[str]]] = [(NAME, extras)]
    while waiting:
        name, wanted = waiting.pop()
        if name in found and wanted <= asked[name]:
            continue
        asked[name] = asked.get(name, set()) | wanted
        try:
            what = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"sbom: error: {name} is needed and not installed; install iic-rt with these extras first")
        needs = set()
        for requirement in map(Requirement, what.requires or ()):
            marker = requirement.marker
            # An extra may be made of others of the same package.
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in asked[name] | {""}):
                needs.add(canonicalize_name(requirement.name))
                waiting.append((canonicalize_name(requirement.name), set(requirement.extras)))
        found[name] = what, needs - {name}
    return found


def reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def library(name: str, what: Distribution) -> dict[str, Any]:
    """A component of one distribution; its licence as it says itself."""
    version, said = what.version, what.metadata
    component = {"type": "library", "name": name, "version": version, "purl": reference(name, version)}
    component["bom-ref"] = component["purl"]
    classes = [line for line in said.get_all("Classifier") or () if line.startswith("License :: OSI")]
    if expression := said.get("License-Expression"):
        component["licenses"] = [{"expression": expression}]
    elif classes:
        component["licenses"] = [{"license": {"name": line.split(" :: ")[-1]}} for line in classes]
    elif (text := said.get("License")) and "\n" not in text:
        component["licenses"] = [{"license": {"name": text}}]
    return component


def bundle_files(folder: Path) -> list[dict[str, Any]]:
    """A component for every bundle in a folder: its files with their hashes, and the hashes of its weights."""
    found = []
    for manifest in sorted(folder.glob("*/manifest.json")):
        said = json.loads(manifest.read_text())
        files = [
            {
                "type": "file",
                "name": path.relative_to(folder).as_posix(),
                "bom-ref": f"bundle/{path.relative_to(folder).as_posix()}",
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
            }
            for path in sorted(manifest.parent.iterdir())
            if path.is_file()
        ]
        weights = [
            {
                "type": "data",
                "name": f"weights of the {name}",
                "bom-ref": f"weights/{said['name']}/{name}",
                "hashes": [{"alg": "SHA-256", "content": content}],
            }
            for name, content in sorted(said["weights_sha256"].items())
        ]
        found.append(
            {
                "type": "machine-learning-model",
                "name": said["name"],
                "bom-ref": f"bundle/{said['name']}",
                "components": [*files, *weights],
            }
        )
    return found


def bill(extras: set[str]) -> dict[str, Any]:
    """The document. It has no time and no random number: what is the same installed gives the same bytes."""
    parts = installed(extras)
    references = {name: reference(name, what.version) for name, (what, _) in parts.items()}
    components = {name: library(name, what) for name, (what, _) in sorted(parts.items())}
    top = components.pop(NAME)
    package = Path(str(parts[NAME][0].locate_file("iic_rt")))
    if not package.is_dir():  # an editable install
        import iic_rt

        package = Path(iic_rt.__file__).parent
    bundles = bundle_files(package / "bundles")
    needs = [
        {"ref": references[name], "dependsOn": sorted(references[other] for other in others)}
        for name, (_, others) in sorted(parts.items())
    ]
    needs[next(i for i, item in enumerate(needs) if item["ref"] == top["bom-ref"])]["dependsOn"] += [
        bundle["bom-ref"] for bundle in bundles
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": top},
        "components": [*components.values(), *bundles],
        "dependencies": needs,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="an extra that is installed too")
    print(json.dumps(bill(set(parser.parse_args().extra)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
