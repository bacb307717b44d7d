"""Everything a training run can be told, with the defaults of the shipped weights."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Stage", "TrainConfig", "UpsamplerConfig"]


@dataclass(frozen=True)
class Stage:
    """Square crops of ``size`` pixels in batches of ``batch``, until ``until`` of the run (0 to 1) is done."""

    size: int
    batch: int
    until: float


@dataclass(frozen=True)
class TrainConfig:
    """A run ends after ``steps`` steps or ``minutes`` minutes, whichever is set; the schedules follow the same clock.

    ``steps`` gives a run that repeats exactly; ``minutes`` gives the best weights a time budget allows.
    """

    preset: str = "edge"
    steps: int | None = None
    minutes: float | None = None
    stages: tuple[Stage, ...] = (Stage(128, 32, 0.6), Stage(256, 12, 1.0))
    iterations: int = 2  # of Algorithm 1, as in the paper
    learning_rate: float = 1e-3  # peak; the paper's constant 1e-4 learns too slowly for a short budget
    final_learning_rate: float = 1e-5
    warmup_steps: int = 200
    max_gradient_norm: float = 1.0
    lambda_: float = 0.1  # Eq. 3
    lambda_start: float = 0.2
    lambda_until: float = 0.25  # share of the run after which lambda has its final value
    l2_weight: float = 1.0
    known_weight: float = 0.2
    coarse_weight: float = 0.5
    adversarial_weight: float = 0.0
    adversarial_from: float = 0.5  # share of the run after which the discriminator joins
    ema_decay: float = 0.999
    seed: int = 0
    validate_every_minutes: float = 10.0
    checkpoint_every_minutes: float = 3.0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes: one of them is the clock of the schedules")
        if not self.stages or self.stages[-1].until != 1.0:
            raise ValueError("the last stage must run until 1.0")
        for stage in self.stages:
            if stage.size % 8:
                raise ValueError(f"stage size {stage.size} is not a multiple of 8")


@dataclass(frozen=True)
class UpsamplerConfig(TrainConfig):
    """The same for the guided upsampling network; sizes are those of the high resolution, twice the loop's."""

    stages: tuple[Stage, ...] = (Stage(256, 16, 1.0),)
    iterations: int = 2  # of the loop that makes its input; validation and use have four
    adversarial_weight: float = 0.01
    adversarial_from: float = 0.3
    discriminator_width: int = 32
    hole_weight: float = 0.5  # L1 in the hole, Eq. 2
    known_weight: float = 2.0  # L1 on the known pixels: keeps ToRGB from blurring what it is given
    match_weight: float = 1.0  # match_loss
