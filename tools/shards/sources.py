"""The artifacts of a shard, clip by clip, with what every stage says of a clip."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from workflow.artifact import Artifact
from workflow.errors import ContractError, Rejected
from workflow.shard import JUDGES
from workflow.stages.body import Body
from workflow.stages.canonical import Canonical
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface
from workflow.store import Reader, Rejection

KINDS: tuple[type[Artifact], ...] = (Frames, Keypoints, Body, Parsing, Crop, Canonical, Surface, Layers, Scene)


@dataclass(frozen=True)
class ClipSources:
    """All artifacts of one clip."""

    frames: Frames
    keypoints: Keypoints
    body: Body
    parsing: Parsing
    crop: Crop
    canonical: Canonical
    surface: Surface
    layers: Layers
    scene: Scene

    @property
    def layer_valid(self) -> np.ndarray:
        """(T, len(JUDGES)) bool: verdict of each stage on each frame."""
        return np.stack([getattr(self, name).valid for name in JUDGES], axis=1)

    @property
    def quality(self) -> dict[str, dict[str, float]]:
        """Figures of every stage."""
        return {kind.name: dict(sorted(getattr(self, kind.name).quality.items())) for kind in KINDS}


class Sources:
    """Open artifact files of a shard; close by leaving the `with` block."""

    def __init__(self, inputs: Mapping[str, Path | list[Path]]) -> None:
        """Open the files.

        Args:
            inputs: Path of every artifact by its name.
        """
        self._stack = contextlib.ExitStack()
        self._readers: dict[str, Reader[Any]] = {}
        for kind in KINDS:
            path = inputs[kind.name]
            assert isinstance(path, Path)
            self._readers[kind.name] = self._stack.enter_context(Reader(path, kind))

    def __enter__(self) -> Sources:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def provenance(self) -> dict[str, Any]:
        """How every artifact was made."""
        return {name: reader.provenance for name, reader in self._readers.items()}

    @property
    def digests(self) -> dict[str, str]:
        """Digest of every artifact."""
        return {name: reader.digest() for name, reader in self._readers.items()}

    def check_clips(self, expected: tuple[str, ...]) -> None:
        """Make sure that every artifact is of these clips.

        Raises:
            ContractError: One holds other clips.
        """
        for name, reader in self._readers.items():
            if reader.clips != expected:
                strange = sorted(set(reader.clips) ^ set(expected))[:3]
                raise ContractError(
                    f"{reader.path}: {name} holds other clips than clips.json ({', '.join(strange) or 'their order'}); "
                    "rerun the stage that writes it"
                )

    def rejection(self, clip: str) -> Rejection | None:
        """The first stage's rejection of a clip; None if all took it."""
        return next((found for reader in self._readers.values() if (found := reader.rejection(clip))), None)

    def read(self, clip: str) -> ClipSources:
        """All artifacts of a clip.

        Raises:
            ContractError: They do not belong together.
        """
        sources = ClipSources(**{name: reader.read(clip) for name, reader in self._readers.items()})
        lengths = {name: len(getattr(sources, name).valid) for name in JUDGES}
        lengths["frames"] = len(sources.frames.timestamps)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ContractError(f"clip {clip}: artifacts differ in their number of frames: {told}; rerun those stages")
        sizes = {
            f"{name}.{field}": getattr(getattr(sources, name), field).shape[1:3]
            for name, field in (
                ("crop", "rgb"), ("crop", "labels"), ("crop", "inside"), ("surface", "depth"), ("surface", "normal"),
                ("layers", "human"), ("layers", "occluder"), ("scene", "rgb"), ("scene", "origin"),
            )
        }  # fmt: skip
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} {height} x {width}" for name, (height, width) in sizes.items())
            raise ContractError(f"clip {clip}: pictures differ in size: {told}; rerun those stages")
        return sources


def check_valid_share(sources: ClipSources, smallest: float) -> None:
    """Reject a clip in which too few frames are valid in all layers.

    Args:
        sources: The clip.
        smallest: Share of its frames, 0 to 1.

    Raises:
        Rejected: Fewer are.
    """
    verdicts = sources.layer_valid
    frames = len(verdicts)
    if not frames:
        raise Rejected("has no frames")
    share = float(verdicts.all(1).mean())
    if share < smallest:
        shares = verdicts.mean(0)
        worst = int(shares.argmin())
        raise Rejected(
            f"{share:.0%} of its {frames} frames are valid in all layers, expected at least {smallest:.0%} "
            f"(fewest in {JUDGES[worst]}: {shares[worst]:.0%})"
        )
