"""A study in which people choose: a page with pairs of results, and the count of the answers.

``python -m benchmarks.study make --images F --masks F --results MI-GAN=F --classical --out study``
``python -m benchmarks.study count study/key.json answers.json answers-2.json``

``make`` writes a folder: ``index.html``, which opens from the disk, and ``key.json``, which stays with you: the page
itself does not know which result is whose. Every pair is shown twice with the sides exchanged, in random order, and as
in the paper's study (Sec. 4.2) a vote counts only when the same result is chosen both times.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Case
from benchmarks.methods import Method, classical_methods
from benchmarks.peers import load_folder, named, published
from iic_rt import Inpainter
from iic_rt.files import write_bytes
from iic_rt.image_io import write_image

__all__ = ["count", "main", "make"]

PAGE = Path(__file__).with_suffix(".html")
PLACE = "/*STUDY*/ null"
OURS = "iic-rt"


def make(cases: list[Case], methods: dict[str, Method], out: Path) -> None:
    """Writes the page, its images under names that say nothing, and the key to them."""
    salt = secrets.token_hex(8)  # so that nobody finds a name by hashing the methods'

    def name(*parts: str) -> str:
        return f"images/{hashlib.sha256('/'.join((salt, *parts)).encode()).hexdigest()[:16]}.png"

    (out / "images").mkdir(parents=True, exist_ok=True)
    pairs, key = [], {}
    for case in cases:
        shown = {}
        for method, fill in methods.items():
            shown[method] = name(case.name, method)
            write(out / shown[method], fill(case.image, case.hole))
            key[shown[method]] = {"image": case.name, "method": method}
        given = name(case.name)
        marked = np.where(case.hole[..., None] > 0, case.image // 2 + np.array((20, 60, 127), np.uint8), case.image)
        write(out / given, marked)
        for both in combinations(methods, 2):
            pair = hashlib.sha256("/".join((salt, case.name, *both)).encode()).hexdigest()[:12]
            # In the order of their names, which say nothing: the page draws the sides anew for everyone.
            pairs.append({"id": pair, "given": given, "shown": sorted(shown[method] for method in both)})
    study = json.dumps({"id": salt[:8], "pairs": sorted(pairs, key=lambda pair: pair["id"])})
    write_bytes(out / "index.html", PAGE.read_text().replace(PLACE, study).encode())
    described = {"study": salt[:8], "methods": list(methods), "shown": key}
    write_bytes(out / "key.json", (json.dumps(described, indent=1) + "\n").encode())


def write(path: Path, image: NDArray[np.uint8]) -> None:
    write_image(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def count(key: dict[str, Any], answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Valid votes: how often each method was preferred, in all and against each other.

    Raises:
        ValueError: the answers are of another study.
    """
    won: Counter[str] = Counter()
    against: dict[str, Counter[str]] = {method: Counter() for method in key["methods"]}
    asked = valid = 0
    for answer in answers:
        if answer["study"] != key["study"]:
            raise ValueError(f"answers of study {answer['study']!r} do not fit the key of {key['study']!r}")
        chosen: defaultdict[str, list[str]] = defaultdict(list)
        shown: dict[str, set[str]] = {}
        for vote in answer["votes"]:
            chosen[vote["pair"]].append(vote["chosen"])
            shown[vote["pair"]] = set(vote["shown"])
        for pair, votes in chosen.items():
            asked += 1
            if len(votes) != 2 or len(set(votes)) != 1:
                continue
            valid += 1
            winner = key["shown"][votes[0]]["method"]
            (loser,) = (key["shown"][other]["method"] for other in shown[pair] - set(votes))
            won[winner] += 1
            against[winner][loser] += 1
    return {
        "people": len(answers),
        "asked": asked,
        "valid": valid,
        "won": {method: won[method] for method in key["methods"]},
        "against": {method: dict(losers) for method, losers in against.items()},
    }


def table(found: dict[str, Any]) -> str:
    """A row a method: votes in all, and the share of the valid votes it won against each other one."""
    methods = list(found["won"])
    lines = [
        f"{found['valid']} valid votes of {found['asked']} pairs, {found['people']} people",
        "",
        "| method | votes | " + " | ".join(f"over {method}" for method in methods) + " |",
        "|---" * (len(methods) + 2) + "|",
    ]
    for method in methods:
        cells = []
        for other in methods:
            wins, losses = found["against"][method].get(other, 0), found["against"][other].get(method, 0)
            cells.append(f"{100 * wins / (wins + losses):.0f} %" if wins + losses else "")
        lines.append(f"| {method} | {found['won'][method]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the page")
    making.add_argument("--images", type=Path, required=True, help="folder of the originals")
    making.add_argument("--masks", type=Path, required=True, help="folder of the masks, white where the hole is")
    making.add_argument("--results", type=named, action="append", default=[], metavar="NAME=FOLDER", help="of a rival")
    making.add_argument("--classical", action="store_true", help="OpenCV's methods and PyPatchMatch too")
    making.add_argument("--backend", default="onnxruntime", help="of this project (default %(default)s)")
    making.add_argument("--out", type=Path, required=True, help="folder to write")
    counting = commands.add_parser("count", help="count the answers")
    counting.add_argument("key", type=Path, help="key.json of the study")
    counting.add_argument("answers", type=Path, nargs="+", help="files that the page saved")
    options = parser.parse_args(argv)
    try:
        if options.command == "count":
            key, *answers = (json.loads(path.read_text()) for path in (options.key, *options.answers))
            print(table(count(key, answers)))
            return 0
        cases = load_folder(options.images, options.masks)
        methods = {name: published(folder, cases) for name, folder in options.results}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if options.classical:
        methods |= classical_methods()
    with Inpainter(backend=options.backend) as inpainter:
        methods[OURS] = lambda image, hole: inpainter.inpaint(image, hole).image
        if len(methods) < 2:
            parser.error("there is nothing to compare with; give --results or --classical")
        make(cases, methods, options.out)
    print(f"open {options.out / 'index.html'}; keep {options.out / 'key.json'} to yourself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
