"""A recording of another project, before it becomes artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tools.nvr.source import Camera


@dataclass(frozen=True)
class Shot:
    """One frame of a recording.

    Attributes:
        number: Number of the frame in the source.
        image: The picture.
        params: Rh (1, 3), Th (1, 3), poses (1, 69 or 72), shapes (1, n), EasyMocap's convention; None where the body
            is not known.
        labels: Human parsing; None where there is none.
        matte: Soft mask; None where there is none.
        annotation: EasyMocap's JSON; None where there is none.
        vertices: Body vertices in the world; None where there are none.
    """

    number: int
    image: Path
    params: Optional[Mapping[str, Any]]
    labels: Optional[Path] = None
    matte: Optional[Path] = None
    annotation: Optional[Path] = None
    vertices: Optional[Path] = None


@dataclass(frozen=True)
class Recording:
    """One camera's view of a person.

    Attributes:
        name: For messages, and the name under which the catalog keeps it.
        root: Folder it lies in.
        camera: Where it was taken from; the world is the body parameters'.
        shots: Frames in order.
        has_masks: Whether every frame has human parsing.
        fps: Frames per second, where known.
        times: Time of each frame in s, where known.
        keypoints: Shape (T, 133, 3), where exact ones are kept beside the annotations.
        body_model: SHA-256 of the body file, where known.
        metadata: What else is known of it.
    """

    name: str
    root: Path
    camera: Camera
    shots: list[Shot]
    has_masks: bool
    fps: Optional[float] = None
    times: Optional[list[float]] = None
    keypoints: Optional[np.ndarray] = None
    body_model: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
