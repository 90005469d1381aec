"""The body fit beside EasyMocap's objective and solver, on the same keypoints: joint error and time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_zoo.metrics import bodies
from model_zoo.synthetic.recipes import Take
from tools.accuracy.chain import Chain, Step, steps
from tools.accuracy.judge import true_body
from workflow.artifact import Artifact
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

CLIPS = ("walk-across-a-room", "wave-by-hand")
FRAMES = 16  # of each clip: EasyMocap's solver takes seconds for them
BACKENDS = ("smplify", "easymocap_fit")  # ours first
FASTER = 5.0  # how many times as fast ours is to be, and no less accurate


@dataclass(frozen=True)
class Fit:
    """One clip fitted by one backend.

    Attributes:
        clip: Name.
        backend: Of the body stage.
        frames: Fitted.
        pa_mpjpe: mm, mean.
        mpjpe: mm, mean.
        seconds: Processor time.
    """

    clip: str
    backend: str
    frames: int
    pa_mpjpe: float
    mpjpe: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Means over all clips.

    Attributes:
        fits: Every fit.
        ours: Mean PA-MPJPE of the first backend, mm.
        theirs: Of the second.
        faster: Time of the second over that of the first.
    """

    fits: tuple[Fit, ...]
    ours: float
    theirs: float
    faster: float

    @property
    def met(self) -> bool:
        """Whether ours is at least as accurate and fast enough."""
        return self.ours <= self.theirs and self.faster >= FASTER


class Fitters:
    """Both backends, loaded once."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Take the inputs that are not artifacts, by name."""
        self._works: dict[str, Callable[..., Artifact]] = {}
        for backend in BACKENDS:
            chosen = steps(f'{{"body": {{"backend": "{backend}"}}}}')
            self._works[backend] = Chain(chosen, files).load(_body_step(chosen))

    def fit(self, take: Take, frames: Frames, keypoints: Keypoints) -> list[Fit]:
        """Fit the first frames of a clip by each."""
        count = min(FRAMES, len(take))
        short = dataclasses.replace(keypoints, **{name: getattr(keypoints, name)[:count] for name in keypoints.specs()})
        truth = true_body(take)[2][:count]
        found = []
        for backend, work in self._works.items():
            start = time.process_time()
            body = work(frames, short)
            seconds = time.process_time() - start
            assert isinstance(body, Body)
            ours, theirs = body.joints[body.valid].astype(np.float64), truth[body.valid]
            error = [float(np.mean(measure(ours, theirs))) for measure in (bodies.pa_mpjpe, bodies.mpjpe)]
            found.append(Fit(take.recipe.name, backend, count, *error, seconds))
        return found


def compared(fits: Sequence[Fit]) -> Comparison | None:
    """Sum up; None where nothing was fitted."""
    if not fits:
        return None
    error, seconds = (
        [float(np.mean([getattr(fit, key) for fit in fits if fit.backend == backend])) for backend in BACKENDS]
        for key in ("pa_mpjpe", "seconds")
    )
    return Comparison(tuple(fits), error[0], error[1], seconds[1] / max(seconds[0], 1e-9))


def _body_step(chosen: list[Step]) -> Step:
    return next(step for step in chosen if step.stage.name == "body")
