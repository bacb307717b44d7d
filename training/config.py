"""Everything a training run can be told, with the defaults of the shipped weights."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HOLES", "Stage", "TrainConfig", "UpsamplerConfig"]


HOLES = ("objects", "classic")


@dataclass(frozen=True)
class Stage:
    """Square crops of ``size`` pixels in batches of ``batch``, until ``until`` of the run (0 to 1) is done."""

    size: int
    batch: int
    until: float


@dataclass(frozen=True)
class TrainConfig:
    """A run ends after ``samples`` pictures or ``minutes`` minutes, whichever is set; the schedules follow that clock.

    ``samples`` gives a run that repeats exactly, whatever else the machine does; ``minutes`` serves to compare
    settings at equal time: of the clock, or of the process's own work.
    """

    preset: str = "edge"
    samples: int | None = None
    minutes: float | None = None
    own_minutes: bool = False  # minutes of CPU time of the process, which others on the machine do not shorten
    stages: tuple[Stage, ...] = (Stage(128, 32, 0.8), Stage(256, 12, 1.0))
    drawn: float = 0.25  # share of drawn pictures
    holes: str = "objects"  # or "classic": strokes and rectangles anywhere, as before the paper
    iterations: int = 2  # of Algorithm 1, as in the paper
    learning_rate: float = 1e-3  # the paper's 1e-4 learns too slowly for a short budget
    final_learning_rate: float = 1e-5
    decay: float = 0.25  # last share of the run, over which the learning rate falls to the final one
    warmup_steps: int = 50
    max_gradient_norm: float = 1.0
    lambda_: float = 0.1  # Eq. 3
    l2_weight: float = 1.0
    known_weight: float = 0.2
    coarse_weight: float = 0.5
    confidence_weight: float = 1.0
    confidence_only: bool = False  # the confidence decoder alone is trained, on the image of a finished generator
    perceptual_weight: float = 0.0
    perceptual_from: int = 0  # pictures after which the perceptual loss joins: structure has to be learnt first
    adversarial_weight: float = 0.0
    adversarial_from: int = 0  # pictures after which the discriminator joins
    ema_decay: float = 0.999
    seed: int = 0
    validate_every_minutes: float = 20.0
    checkpoint_every_minutes: float = 3.0

    def __post_init__(self) -> None:
        if (self.samples is None) == (self.minutes is None):
            raise ValueError("give either samples or minutes: one of them is the clock of the schedules")
        if not self.stages or self.stages[-1].until != 1.0:
            raise ValueError("the last stage must run until 1.0")
        if self.holes not in HOLES:
            raise ValueError(f"holes are {' or '.join(HOLES)}, not {self.holes!r}")
        for stage in self.stages:
            if stage.size % 16:
                raise ValueError(f"stage size {stage.size} is not a multiple of 16")


@dataclass(frozen=True)
class UpsamplerConfig(TrainConfig):
    """The same for the guided upsampling network; sizes are those of the high resolution, twice the loop's."""

    stages: tuple[Stage, ...] = (Stage(256, 16, 1.0),)
    drawn: float = 0.0
    iterations: int = 2  # of the loop that makes its input; validation and use have four
    adversarial_weight: float = 0.01
    adversarial_from: int = 14_000
    discriminator_width: int = 32
    hole_weight: float = 0.5  # L1 in the hole, Eq. 2
    known_weight: float = 2.0  # L1 on the known pixels: keeps ToRGB from blurring what it is given
    match_weight: float = 1.0  # match_loss
