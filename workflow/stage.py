"""Stages: what each takes, gives, can be run by, and needs. Declarations only; nothing here looks at the machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Optional, Union

from workflow.artifact import Artifact

RESOURCE_CLASSES = ("cpu", "gpu-small", "gpu-medium", "gpu-large")


@dataclass(frozen=True)
class Params:
    """Base of all settings. A subclass's docstring and field comments become the configuration reference."""

    def faults(self) -> list[str]:
        """Values that cannot work, each as "key: what it is, what is expected"; empty when all is well."""
        return []

    def files(self) -> list[str]:
        """Files that settings name, relative to the working directory; Snakemake takes them as further inputs."""
        return []

    def needs(self, declared: Resources) -> Resources:
        """What a job with these settings needs, where they change what its backend declares."""
        return declared


Limits = tuple[float, Optional[float]]


def outside(params: Params, **limits: Limits) -> list[str]:
    """Faults of settings that are no number within their limits; null passes.

    Args:
        params: The settings.
        limits: Smallest and largest value of each, both allowed; None where any larger finite number will do.
    """
    faults = []
    for key, (low, high) in limits.items():
        value = getattr(params, key)
        if value is None or (math.isfinite(value) and low <= value and (high is None or value <= high)):
            continue
        expected = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
        faults.append(f"{key}: is {value}, expected {expected}")
    return faults


DEVICES = ("auto", "cpu", "cuda")


def device_faults(device: str) -> list[str]:
    """Faults of a `device` setting; `auto` takes a GPU where the machine has one."""
    return [] if device in DEVICES else [f"device: is {device!r}, expected one of {', '.join(DEVICES)}"]


@dataclass(frozen=True)
class Resources:
    """What a job needs, not which machine gives it.

    Attributes:
        threads: Processor threads the job uses.
        mem_mb: Memory in MB at the first attempt; later attempts ask for more.
        runtime_min: Minutes after which a scheduler may end the job.
        gpu_class: "cpu", or "gpu-small" (8 GB), "gpu-medium" (24 GB), "gpu-large" (80 GB).
        gpu_count: GPUs of that class, on one machine.
    """

    threads: int = 1
    mem_mb: int = 2_000
    runtime_min: int = 120
    gpu_class: str = "cpu"
    gpu_count: int = 1

    @property
    def gpus(self) -> int:
        """Number of GPUs the job takes."""
        return 0 if self.gpu_class == "cpu" else self.gpu_count


@dataclass(frozen=True)
class Backend:
    """One way to run a stage: module `tools/<stage>/<backend>.py` in environment `envs/<env>.yaml`.

    Raise `version` when the same inputs and settings give other outputs: it makes Snakemake rerun the stage.
    """

    env: str
    params: type[Params] = Params
    resources: Resources = Resources()
    version: int = 1
    weights: tuple[str, ...] = ()  # entries of model_zoo/weights.yaml
    summary: str = ""


@dataclass(frozen=True)
class File:
    """An input or output that is not an artifact of clips.

    Attributes:
        name: Name of the command-line flag and of the rule's input or output.
        path: Path pattern relative to the working directory; may hold `{shard}` and `{split}`.
        each: For inputs: take the path of every shard of the catalog instead of the job's own.
        when: For inputs: name of a setting that must be true for the input to be taken; empty takes it always.
    """

    name: str
    path: str
    each: bool = False
    when: str = ""

    def wanted(self, params: Params) -> bool:
        """Whether a job with these settings takes it."""
        return not self.when or bool(getattr(params, self.when))


Port = Union[type[Artifact], File]


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline, declared once; rules, command line, documents and tests follow from it.

    Attributes:
        name: Name of the rule, of the folder in `tools/` and of the configuration section.
        summary: One sentence for the documents.
        inputs: Artifacts and files it takes.
        outputs: Artifacts and files it gives.
        backends: By name.
        default: Backend used unless the configuration says otherwise.
        truth: Whether `tools/truth/<stage>.py` can give the exact result for a rendered clip in place of a backend.
    """

    name: str
    summary: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    backends: dict[str, Backend] = field(default_factory=dict)
    default: str = ""
    truth: bool = False

    def __post_init__(self) -> None:
        """Check that the declaration is consistent."""
        if self.default not in self.backends:
            raise ValueError(f"stage {self.name}: default backend {self.default!r} is not declared")
        for name, backend in self.backends.items():
            if backend.resources.gpu_class not in RESOURCE_CLASSES:
                raise ValueError(f"stage {self.name}, backend {name}: unknown class {backend.resources.gpu_class!r}")

    @property
    def per_clip(self) -> bool:
        """Whether the stage maps artifacts of a clip to artifacts of a clip."""
        return all(isinstance(port, type) for port in self.outputs)
