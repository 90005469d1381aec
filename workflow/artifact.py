"""Artifacts: typed results of a stage for one clip, which cannot be built against their contract."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from workflow.errors import ContractError
from workflow.raster import Raster, Spool

_SPEC = "spec"


@dataclass(frozen=True)
class Spec:
    """Contract of one field: axes, dtype, unit, frame of reference and bounds."""

    kind: str  # "array" or "raster"
    axes: tuple[tuple[str, int | None], ...]
    dtype: str
    unit: str
    frame: str | None
    bounds: tuple[float, float] | None
    codec: str = "npy.zst"
    ragged: bool = False

    def __str__(self) -> str:
        sizes = ", ".join(name if size is None else f"{name}={size}" for name, size in self.axes)
        return f"({sizes}) {self.dtype}"


def _axes(text: str) -> tuple[tuple[str, int | None], ...]:
    parsed = []
    for word in text.split():
        name, _, size = word.partition("=")
        parsed.append((name, int(size) if size else None))
    return tuple(parsed)


def array(
    axes: str, dtype: str, *, unit: str = "1", frame: str | None = None, bounds: tuple[float, float] | None = None
) -> Any:
    """Declare an array field.

    Args:
        axes: Names in order, with a size where it is fixed: "time joint=133 xy=2".
        dtype: dtype the array must have.
        unit: Unit of the values; "1" for pure numbers.
        frame: Frame of reference: "image" (source pixels), "crop", "camera", "world", "body" or "big pose".
        bounds: Smallest and largest legal value.
    """
    return field(metadata={_SPEC: Spec("array", _axes(axes), dtype, unit, frame, bounds)})


def raster(
    axes: str,
    dtype: str,
    *,
    codec: str = "npy.zst",
    unit: str = "1",
    frame: str | None = None,
    bounds: tuple[float, float] | None = None,
    ragged: bool = False,
) -> Any:
    """Declare a raster field: frames along time, kept encoded (see `workflow.raster`); the first axis is time."""
    return field(metadata={_SPEC: Spec("raster", _axes(axes), dtype, unit, frame, bounds, codec, ragged)})


def figures() -> Any:
    """Declare the quality figures of an artifact: name to finite number, empty by default."""
    return field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """Base of all artifacts. Fields without a spec are JSON scalars or strings.

    Subclasses set `name` (also the file's name), and raise `version` when a field changes meaning.
    Each declares `quality = figures()` last: the stage's own figures for the clip, which the report and the
    dataset index gather.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def specs(cls) -> dict[str, Spec]:
        """Contract of every array and raster field."""
        return {f.name: f.metadata[_SPEC] for f in dataclasses.fields(cls) if _SPEC in f.metadata}

    @classmethod
    def attributes(cls) -> tuple[str, ...]:
        """Names of the fields that are neither array nor raster."""
        return tuple(f.name for f in dataclasses.fields(cls) if _SPEC not in f.metadata and f.name != "quality")

    @classmethod
    def spool(cls, field_name: str, encode: Any = None) -> Spool:
        """Empty raster for a field, which accepts only frames that fit the contract."""
        spec = cls.specs()[field_name]
        return Spool(
            codec_name=spec.codec,
            dtype=spec.dtype,
            frame_shape=tuple(size for _, size in spec.axes[1:]),
            bounds=spec.bounds,
            ragged=spec.ragged,
            label=f"{cls.name} v{cls.version}: {field_name}",
            encode=encode,
        )

    def __post_init__(self) -> None:
        """Check structure and values; report every violation at once."""
        faults: list[str] = []
        sizes: dict[str, tuple[int, str]] = {}
        for name, spec in self.specs().items():
            value = getattr(self, name)
            wanted = Raster if spec.kind == "raster" else np.ndarray
            if not isinstance(value, wanted):
                faults.append(f"{name}: is {type(value).__name__}, expected {wanted.__name__} {spec}")
                continue
            faults.extend(f"{name}: {fault}" for fault in _structure_faults(value, spec, sizes, name))
            if spec.kind == "array":
                faults.extend(f"{name}: {fault}" for fault in _value_faults(value, spec))
        for key, number in self.quality.items():  # type: ignore[attr-defined]  # every subclass declares it
            if not isinstance(number, (int, float)) or not np.isfinite(number):
                faults.append(f"quality.{key}: is {number!r}, expected a finite number")
        if faults:
            raise ContractError(f"{self.name} v{self.version}:\n" + "\n".join(f"  {fault}" for fault in faults))


def _structure_faults(value: Any, spec: Spec, sizes: dict[str, tuple[int, str]], name: str) -> list[str]:
    faults = []
    if str(value.dtype) != spec.dtype:
        faults.append(f"dtype is {value.dtype}, expected {spec.dtype}")
    if len(value.shape) != len(spec.axes):
        return [*faults, f"shape is {tuple(value.shape)}, expected {spec}"]
    if spec.kind == "raster" and len(value) == 0:
        checked = list(zip(spec.axes[:1], value.shape[:1]))
    else:
        checked = list(zip(spec.axes, value.shape))
    for (axis, fixed), size in checked:
        if fixed is not None:
            if size != fixed:
                faults.append(f"axis '{axis}' has length {size}, expected {fixed}")
        elif not (spec.ragged and axis != "time"):
            seen, where = sizes.setdefault(axis, (size, name))
            if size != seen:
                faults.append(f"axis '{axis}' has length {size}, but {seen} in {where}")
    return faults


def _value_faults(value: np.ndarray, spec: Spec) -> list[str]:
    if value.size == 0:
        return []
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        bad = np.argwhere(~np.isfinite(value))[0]
        return [f"not finite at {tuple(int(i) for i in bad)}; absence is a `valid` mask, never NaN"]
    if spec.bounds is not None:
        low, high = value.min(), value.max()
        if low < spec.bounds[0] or high > spec.bounds[1]:
            return [f"values span {low} to {high}, expected {spec.bounds[0]} to {spec.bounds[1]}"]
    return []
