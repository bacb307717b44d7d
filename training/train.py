"""Trains the generator, or with ``--upsampler GENERATOR`` the guided upsampling network behind it.

``python -m training.train --data FOLDER --out runs/edge --samples 400000``
``python -m training.train --data FOLDER --out runs/upsampler --minutes 60 --upsampler edge.safetensors``
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from iic_rt.files import remove_stale, write_bytes
from training.checkpoint import load_state, save_state
from training.config import HOLES, Stage, TrainConfig, UpsamplerConfig
from training.data import Pictures, Plan, StepPlans, validation_plan
from training.generator_trainer import GeneratorTrainer
from training.masks import ObjectShapes
from training.milestone import begin_from
from training.model.network import PRESETS
from training.model.weights import load_generator
from training.ranks import Ranks
from training.trainer import Trainer
from training.upsampler_trainer import UpsamplerTrainer
from training.validate import batches

__all__ = ["Run", "main"]

LOG_EVERY = 20  # steps
VALIDATED = 128  # held-out pictures


class Run:
    """A run in one folder.

    ``state.safetensors`` is what it goes on from; ``milestone.safetensors``, written with it, holds the averaged
    weights, ``best.safetensors`` those of the best validation, both in FP16; ``log.jsonl`` and samples lie beside them.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        pictures: Pictures,
        shapes: ObjectShapes,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.trainer, self.config = folder, trainer, trainer.config
        config = trainer.config
        self._pictures, self._shapes, self._ranks = pictures, shapes, trainer.ranks
        self._minutes_before, self._best, self._stopped = 0.0, -math.inf, False
        self._decay_minutes: tuple[float, float] | None = None  # where an early end begins and where it is reached
        # A part of them: all would take a tenth of the run's time. A release is validated on all.
        self._plan = next(batches(validation_plan(pictures, shapes, size=config.stages[-1].size), VALIDATED))
        if self._state_path.exists():
            written = json.loads((folder / "config.json").read_text())
            kind, before = written.get("network", "generator"), written["preset"]
            if kind != trainer.NETWORKS[0]:
                raise ValueError(
                    f"{folder} holds a run of the {kind}, not of the {trainer.NETWORKS[0]}; name another --out"
                )
            if before != config.preset:
                raise ValueError(
                    f"{folder} holds a run of preset {before!r}, not {config.preset!r}; name another --out"
                )
            tensors, progress = load_state(self._state_path)
            self.trainer.restore(tensors, step=int(progress["step"]), samples=int(progress["samples"]))
            self._minutes_before, self._best = progress["minutes"], progress["best"]
            if "decay_start" in progress:
                self._decay_minutes = progress["decay_start"], progress["decay_end"]
            print(f"resumed at step {self.trainer.step}, {self._minutes_before:.1f} minutes in", flush=True)
        described = asdict(config) | {"network": trainer.NETWORKS[0], "device": device_name(trainer)}
        if self._ranks.first:
            remove_stale(folder)
            write_bytes(folder / "config.json", (json.dumps(described, indent=2) + "\n").encode())

    @property
    def _state_path(self) -> Path:
        return self.folder / "state.safetensors"

    def end_early(self, minutes: float) -> None:
        """Lets the learning rate come down from here on, over so many minutes, and ends the run there."""
        if self._decay_minutes is None:
            self._decay_minutes = self._minutes_before, self._minutes_before + minutes

    def stop(self, *_signal: object) -> None:
        """Ends the run after the step in hand, with its state saved; a handler for SIGTERM and SIGINT."""
        self._stopped = True

    def train(self, *, workers: int) -> None:
        """Runs until the clock of the configuration is out or :meth:`stop` is called."""
        self._started = self._saved = self._validated = self._now()
        for stage in self.config.stages:
            self._train_stage(stage, workers)
        if self._ranks.first:
            self._save()
            if not self._stopped:
                self._validate()

    def _now(self) -> float:
        return time.process_time() if self.config.own_minutes else time.monotonic()

    def _minutes(self) -> float:
        return self._minutes_before + (self._now() - self._started) / 60

    def _progress(self) -> float:
        if self.config.samples is not None:
            return self.trainer.samples / self.config.samples
        assert self.config.minutes is not None
        return self._minutes() / self.config.minutes

    def _decayed(self) -> float:
        """How far the learning rate has come down, from 0 to 1."""
        if self._decay_minutes is not None:
            start, end = self._decay_minutes
            return min(1.0, (self._minutes() - start) / (end - start))
        return max(0.0, (self._progress() - 1) / self.config.decay + 1)

    def _ended(self) -> bool:
        return self._decay_minutes is not None and self._decayed() >= 1

    def _due(self, stage: Stage) -> bool:
        """Whether ``stage`` has another step, for which it sets the learning rate; rank 0 says so to all."""
        due = not (self._stopped or self._ended() or self._progress() >= stage.until)
        stopped, due_for_all, self.trainer.decayed = self._ranks.of_first(self._stopped, due, self._decayed())
        self._stopped = bool(stopped)
        return bool(due_for_all)

    def _plans(self, stage: Stage, workers: int) -> Iterator[Plan]:
        plans = StepPlans(
            self._pictures,
            self._shapes,
            seed=self.config.seed,
            size=stage.size,
            batch=self._ranks.share_of(stage.batch),
            start=self.trainer.step,
            drawn=self.config.drawn,
            classic=self.config.holes == "classic",
            rank=self._ranks.rank,
        )
        order = range(len(plans))
        yield from DataLoader(
            plans,
            batch_size=None,
            sampler=order,  # type: ignore[arg-type]
            num_workers=workers,
            worker_init_fn=leave_signals,
        )

    def _crops(self, stage: Stage, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of ``stage``; for a GPU each is read while the step before it runs."""
        plans = self._plans(stage, workers)
        if self._pictures.device.type == "cpu":  # which has no time left beside a step
            yield from map(self._pictures.crops, plans)
            return

        def read() -> tuple[Tensor, Tensor]:
            return self._pictures.crops(next(plans))

        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(read)
            while True:
                now, coming = coming, reader.submit(read)
                yield now.result()

    def _train_stage(self, stage: Stage, workers: int) -> None:
        sums: dict[str, list[Tensor]] = {}
        since, counted, compiled = self._now(), 0, False
        crops = self._crops(stage, workers)
        while self._due(stage):
            x, m = next(crops)
            before = self._now()
            losses = self.trainer.train_step(x, m)
            if compiled:
                counted += 1
            else:  # compiling is no training
                took = self._now() - before
                self._started, since, compiled = self._started + took, since + took, True
            for name, value in losses.items():
                sums.setdefault(name, []).append(value)
            if self.trainer.step % LOG_EVERY == 0:
                joined = torch.stack([torch.stack(value).mean() for value in sums.values()])
                means = dict(zip(sums, joined.tolist(), strict=True))
                if not all(math.isfinite(value) for value in means.values()):
                    raise FloatingPointError(
                        f"a loss is not finite before step {self.trainer.step}: {means}. The last saved state is kept; "
                        "start again from it with a lower --learning-rate"
                    )
                rate = counted * stage.batch / (self._now() - since)
                if self._ranks.first:
                    self._log({"size": stage.size, "images_per_second": rate} | means)
                sums, since, counted = {}, self._now(), 0
            if not self._ranks.first:
                continue
            now = self._now()
            if now - self._saved > 60 * self.config.checkpoint_every_minutes:
                self._save()
            if now - self._validated > 60 * self.config.validate_every_minutes:
                self._validate()
                since += self._now() - now  # the rate counts training only

    def _save(self) -> None:
        progress = {"step": self.trainer.step, "samples": self.trainer.samples, "minutes": self._minutes()}
        progress["best"] = self._best
        if self._decay_minutes is not None:
            progress |= {"decay_start": self._decay_minutes[0], "decay_end": self._decay_minutes[1]}
        save_state(self._state_path, self.trainer.state(), progress)
        header = {name: str(progress[name]) for name in ("step", "samples", "minutes")}
        self.trainer.write_average(self.folder / "milestone.safetensors", header)
        self._saved = self._now()

    def _validate(self) -> None:
        samples = self.folder / f"samples-{self.trainer.step:07d}.png"
        with self._ranks.others_wait():
            scores = self.trainer.validate(self._pictures, self._plan)
            self.trainer.write_samples(samples, self._pictures, self._plan)
        score = scores[self.trainer.SCORE]
        if score > self._best:
            self._best = score
            progress = {"step": self.trainer.step, "samples": self.trainer.samples, "minutes": self._minutes()} | scores
            weights = {name: value.half() for name, value in self.trainer.ema.state_dict().items()}
            save_state(self.folder / "best.safetensors", weights, progress)
        self._log(scores | {"best": self._best})
        self._validated = self._now()

    def _log(self, values: dict[str, float]) -> None:
        record = {"step": self.trainer.step, "samples": self.trainer.samples, "minutes": self._minutes()}
        record |= {"progress": self._progress()} | values
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({k: round(v, 5) for k, v in record.items()}) + "\n")
        left = self._minutes() * (1 / max(record["progress"], 1e-6) - 1)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        print(f"step {self.trainer.step}  {100 * record['progress']:.1f} %  {left:.0f} min left  {shown}", flush=True)


def device_name(trainer: Trainer) -> str:
    """What the run computes on, for the record."""
    if trainer.device.startswith("cuda"):
        return torch.cuda.get_device_name(trainer.device)
    return f"{torch.get_num_threads() * trainer.ranks.count} CPU threads"


def leave_signals(_worker: int) -> None:
    """A signal to the whole process group is the run's to handle: it ends its workers when its state is saved."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def parse_stage(text: str) -> Stage:
    size, batch, until = text.split(":")
    return Stage(int(size), int(batch), float(until))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with train-*.tar, salient-masks.tar, objects.npz"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an interrupted run goes on from it")
    parser.add_argument(
        "--preset",
        default="edge",
        choices=sorted(PRESETS),
        help="of the generator; with --upsampler it is that of its generator",
    )
    parser.add_argument(
        "--milestone",
        type=Path,
        help="averaged weights of `training.milestone` that a run without a state begins with; "
        "with --upsampler, released ones",
    )
    parser.add_argument("--upsampler", type=Path, metavar="GENERATOR", help="train the upsampler behind these weights")
    clock = parser.add_mutually_exclusive_group(required=True)
    clock.add_argument("--minutes", type=float, help="time budget")
    clock.add_argument("--own-minutes", type=float, metavar="MINUTES", help="of the process's CPU time")
    clock.add_argument("--samples", type=int, help="number of pictures; such a run repeats exactly")
    parser.add_argument(
        "--end-in", type=float, metavar="MINUTES", help="let the learning rate come down from now on, and end there"
    )
    parser.add_argument(
        "--stage", type=parse_stage, action="append", metavar="SIZE:BATCH:UNTIL", help="e.g. 128:32:0.6"
    )
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--decay", type=float, help="last share of the run, over which the learning rate comes down")
    parser.add_argument("--ema-decay", type=float, help="of the averaged weights, a step; less for a short run")
    parser.add_argument("--drawn", type=float, help="share of drawn pictures")
    parser.add_argument("--holes", choices=HOLES, help="as users draw them, or strokes and rectangles anywhere")
    parser.add_argument("--iterations", type=int, help="of the loop in a training step")
    parser.add_argument("--lambda", dest="lambda_", type=float, help="of Eq. 3: how large the confident area is to be")
    parser.add_argument("--confidence-weight", type=float, help="of Eq. 3; 0 for a network without confidence")
    parser.add_argument(
        "--confidence-only",
        action="store_true",
        default=None,
        help="train the confidence decoder alone, on the network of --milestone",
    )
    parser.add_argument("--perceptual-weight", type=float)
    parser.add_argument("--perceptual-from", type=int, help="pictures after which the perceptual loss joins")
    parser.add_argument("--adversarial-weight", type=float)
    parser.add_argument("--adversarial-from", type=int, help="pictures after which the discriminator joins")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="processes that draw holes"
    )
    parser.add_argument("--validation", type=int, default=400, help="pictures held out (default %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="start at once, train slower")
    options = parser.parse_args(argv)
    losses = ("perceptual_weight", "perceptual_from", "adversarial_weight", "adversarial_from")
    confidence = ("holes", "iterations", "lambda_", "confidence_weight", "confidence_only")
    names = ("learning_rate", "decay", "ema_decay", "drawn", *confidence, *losses, "seed")
    given = {name: getattr(options, name) for name in names}
    given["stages"] = tuple(options.stage) if options.stage else None
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {"samples": options.samples, "minutes": options.minutes, "preset": options.preset}
    if options.own_minutes is not None:
        changes |= {"minutes": options.own_minutes, "own_minutes": True}
    ranks = Ranks.join()
    placed: dict[str, Any] = {"device": options.device, "compiled": not options.no_compile, "ranks": ranks}
    trainer: GeneratorTrainer | UpsamplerTrainer
    if options.upsampler:
        generator, header = load_generator(options.upsampler)
        changes["preset"] = header["preset"]
        trainer = UpsamplerTrainer(UpsamplerConfig(**changes), generator, **placed)
    else:
        trainer = GeneratorTrainer(TrainConfig(**changes), **placed)
    with ranks.first_before_the_others():
        pictures = Pictures(
            options.data, cache=options.out.parent, device=options.device, validation=options.validation
        )
    print(f"{len(pictures)} pictures, {len(pictures.salient)} with a saliency mask", flush=True)
    shapes = ObjectShapes(options.data / "objects.npz")
    if options.milestone and not (options.out / "state.safetensors").exists():
        begin_from(options.milestone, trainer)
        print(f"began from {options.milestone}, {trainer.samples} pictures in", flush=True)
    run = Run(options.out, trainer, pictures, shapes)
    if options.end_in:
        run.end_early(options.end_in)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, run.stop)
    run.train(workers=options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
