"""What a sample is made from, whether it lies in a data root or in a shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model_zoo.canonical.parts import PartIndex, grouped, part_index


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with distortion.

    Attributes:
        K: Shape (3, 3), px; the pixel at column x and row y is seen along K^-1 [x, y, 1].
        R: Shape (3, 3), camera from world.
        T: Shape (3, 1), m, camera from world.
        D: Shape (1, 5), OpenCV's distortion.
    """

    K: np.ndarray
    R: np.ndarray
    T: np.ndarray
    D: np.ndarray


@dataclass(frozen=True)
class Pose:
    """The body in one frame.

    Attributes:
        wpts: Shape (V, 3), float32, m, world frame.
        Rh: Shape (1, 3), float32, rad, about the origin.
        Th: Shape (1, 3), float32, m.
        poses: Shape (72,), rad; the first three are 0.
        pbw: Shape (X, Y, Z, 25), float32: weights of the nearest vertex, and its distance in m.
    """

    wpts: np.ndarray
    Rh: np.ndarray
    Th: np.ndarray
    poses: np.ndarray
    pbw: np.ndarray


@dataclass(frozen=True)
class View:
    """One sample to make: which frame, seen by which camera.

    Attributes:
        frame: Number of the frame: of the image file, or of the clip's frame.
        camera: Number of the camera.
    """

    frame: int
    camera: int


@dataclass(frozen=True)
class Subject:
    """What all samples of a recording share.

    Attributes:
        faces: Shape (F, 3), int64.
        weights: Shape (V, 24), float32.
        joints: Shape (24, 3), float32, m, rest joints.
        parents: Shape (24,), int64; the root's own is 4294967295 or -1, as stored.
        tpts: Shape (V, 3), float32, m, big pose.
        tbw: Shape (X, Y, Z, 25), float32.
        tuv: Shape (X, Y, Z, 2), float32.
        parts: Part of every vertex.
        part_pbw: Shape (5, L, 24), float32, weights by part.
    """

    faces: np.ndarray
    weights: np.ndarray
    joints: np.ndarray
    parents: np.ndarray
    tpts: np.ndarray
    tbw: np.ndarray
    tuv: np.ndarray
    parts: PartIndex
    part_pbw: np.ndarray

    @classmethod
    def of(
        cls,
        *,
        faces: np.ndarray,
        weights: np.ndarray,
        joints: np.ndarray,
        parents: np.ndarray,
        tpts: np.ndarray,
        tbw: np.ndarray,
        tuv: np.ndarray,
    ) -> Subject:
        """Cast to the samples' dtypes and work out the parts.

        Raises:
            ValueError: The arrays do not fit each other.
        """
        faults = []
        if len(weights) != len(tpts):
            faults.append(f"{len(weights)} rows of weights, {len(tpts)} big-pose vertices")
        if faces.size and faces.max() >= len(tpts):
            faults.append(f"faces name vertex {faces.max()} of {len(tpts)}")
        if tbw.shape[-1:] != (25,) or tuv.shape != (*tbw.shape[:3], 2):
            faults.append(
                f"big-pose grids of shapes {tbw.shape} and {tuv.shape}, expected (X, Y, Z, 25) and (X, Y, Z, 2)"
            )
        if joints.shape != (24, 3) or parents.shape != (24,):
            faults.append(
                f"joints of shape {joints.shape} and parents of shape {parents.shape}, expected (24, 3), (24,)"
            )
        if faults:
            raise ValueError("; ".join(faults))
        weights = np.ascontiguousarray(weights, np.float32)
        index = part_index(weights)
        return cls(
            faces=faces.astype(np.int64),
            weights=weights,
            joints=joints.astype(np.float32),
            parents=parents.astype(np.int64),
            tpts=tpts.astype(np.float32),
            tbw=np.ascontiguousarray(tbw, np.float32),
            tuv=np.ascontiguousarray(tuv, np.float32),
            parts=index,
            part_pbw=grouped(index, weights),
        )


class Source(Protocol):
    """Where samples come from."""

    @property
    def views(self) -> list[View]:
        """Samples there are, in order: by frame, then by camera."""

    @property
    def num_cameras(self) -> int:
        """Cameras per frame."""

    @property
    def subject(self) -> Subject:
        """What all samples share; read once."""

    def camera(self, view: View) -> Camera:
        """Camera of a sample."""

    def picture(self, view: View) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    def labels(self, view: View) -> np.ndarray:
        """(h, w) uint8, the 20 classes of human parsing; may be of another size than the picture."""

    def pose(self, view: View) -> Pose:
        """The body."""
