"""Runs the configured per-clip stages on one video in this process."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.catalog import clips, scan
from tools.runner import settings_of
from workflow import zoo
from workflow.artifact import Artifact
from workflow.catalog import Clip
from workflow.errors import Rejected, ToolError
from workflow.stage import Params, Stage
from workflow.stages import STAGES

JUDGED = ("frames", "keypoints", "body", "parsing", "crop", "surface", "layers", "scene")


@dataclass(frozen=True)
class _Limits:
    """One clip for each video."""

    max_clip_frames: int = 10**6
    min_clip_frames: int = 2
    subjects: int = 1


@dataclass(frozen=True)
class Step:
    """One stage as it is configured."""

    stage: Stage
    backend: str
    params: Params


@dataclass
class Outcome:
    """What came of one video.

    Attributes:
        artifacts: By name, as far as the chain came.
        seconds: Of work, by stage.
        rejected: Who rejected the clip and why; empty where nobody did.
    """

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rejected: str = ""


def steps(text: str) -> list[Step]:
    """The judged stages.

    Args:
        text: JSON: by stage, `backend` and `params`; stages that are not named have their defaults.

    Raises:
        ToolError: A backend or a setting is not known.
    """
    given = json.loads(text) if text else {}
    found = []
    for name in JUDGED:
        stage, said = STAGES[name], given.get(name, {})
        backend = said.get("backend", stage.default)
        if backend not in stage.backends:
            raise ToolError(f"accuracy: {name} has no backend {backend!r}; one of {', '.join(stage.backends)}")
        found.append(Step(stage, backend, settings_of(stage.backends[backend], said.get("params", {}))))
    return found


def described(chosen: list[Step]) -> dict[str, dict[str, Any]]:
    """Backend, version and settings by stage, for the card."""
    return {
        step.stage.name: {
            "backend": step.backend,
            "version": step.stage.backends[step.backend].version,
            "settings": dataclasses.asdict(step.params),
        }
        for step in chosen
    }


def clip_of(video: Path) -> Clip:
    """The whole video as one clip, as the catalog would describe it; cuts are not looked for.

    Raises:
        ToolError: It cannot be read.
    """
    data = video.read_bytes()
    facts, found = scan.look(video, hashlib.sha256(data).hexdigest(), len(data), threads=1)
    if found is None:
        raise ToolError(f"accuracy: {video}: {facts.reason}")
    whole = dataclasses.replace(found, cuts=type(found.cuts)())
    (row,) = clips.cut(facts, whole, "train", _Limits())
    return row.clip


class Chain:
    """The configured stages; every backend is loaded once, when it is first needed."""

    def __init__(self, chosen: list[Step], files: Mapping[str, Path]) -> None:
        """Take the stages, and the inputs that are not artifacts by name."""
        self.steps = chosen
        self.files = dict(files)
        self._works: dict[str, Callable[..., Artifact]] = {}

    def run(self, video: Path) -> Outcome:
        """All stages on one video, until one of them rejects it."""
        outcome, clip = Outcome(), clip_of(video)
        for step in self.steps:
            name = step.stage.name
            if name not in self._works:
                self._works[name] = self.load(step)
            inputs = [outcome.artifacts[port.name] for port in step.stage.inputs if isinstance(port, type)]
            start = time.monotonic()
            try:
                result = self._works[name](*inputs) if inputs else self._works[name](clip, video)
            except Rejected as rejected:
                outcome.rejected = f"{name}: {rejected.reason}"
                return outcome
            outcome.seconds[name] = time.monotonic() - start
            outcome.artifacts[type(result).name] = result
        return outcome

    def load(self, step: Step) -> Callable[..., Artifact]:
        """The work of one stage."""
        module = importlib.import_module(f"tools.{step.stage.name}.{step.backend}")
        backend = step.stage.backends[step.backend]
        weights = zoo.paths(step.stage.name, step.backend, backend, step.params)
        work: Callable[..., Artifact] = module.load(step.params, {**self.files, **weights})
        return work
