"""Motions from files: SMPL, SMPL-H or SMPL-X parameters in an `.npz`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.body.skeleton import NUM_BETAS, NUM_JOINTS
from model_zoo.loading.pickles import read_npy

DEFAULT_FPS = 30.0  # where a file says nothing
_BODY_JOINTS = 22  # root and body; SMPL's two hand joints are no joints of SMPL-H and SMPL-X
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
_OBJECT = "smplx"  # XRMocap's SMPLXData keeps its arrays in one object of this name
_MOST_BYTES = 1 << 30  # of one member


@dataclass(frozen=True)
class MotionFile:
    """A motion in the frame it was recorded in, whichever way up that is.

    Attributes:
        poses: Shape (N, 24, 3), rad, axis-angle, the root first; joints that are not in the file are at rest.
        trans: Shape (N, 3), m; the convention of smplx: turned about the pelvis, then moved.
        fps: Frames per second.
        betas: Shape (10,), or None where the file has no shape.
    """

    poses: np.ndarray
    trans: np.ndarray
    fps: float
    betas: np.ndarray | None

    def __len__(self) -> int:
        return len(self.poses)


def read(path: Path) -> MotionFile:
    """Read AMASS's files (`poses`, `trans`, `betas`, `mocap_framerate`), files with `global_orient`, `body_pose` and
    `transl`, and XRMocap's SMPLXData, which keeps those in an object; nothing that a file asks for is executed.

    Raises:
        ValueError: It is no such file; the message lists everything that is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): read_npy(io.BytesIO(archive.read(info)), f"{path}: {info.filename}")
                for info in archive.infolist()
                if info.filename.endswith(".npy") and info.file_size < _MOST_BYTES
            }
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a readable .npz: {error}") from None
    held = arrays.pop(_OBJECT, None)
    if isinstance(held, dict):
        arrays.update(held)
    return from_arrays(arrays, str(path))


def from_arrays(arrays: Mapping[str, Any], where: str = "motion") -> MotionFile:
    """Take the arrays of such a file.

    Raises:
        ValueError: They are missing or of the wrong form; the message lists all faults.
    """
    faults: list[str] = []

    def array(name: str, width: int | None) -> np.ndarray:
        value = np.asarray(arrays.get(name, np.zeros(0)))
        if name not in arrays:
            faults.append(f"no {name}")
        elif value.dtype.kind not in "fiu" or not np.isfinite(value).all():
            faults.append(f"{name} holds values that are not finite numbers")
        elif value.ndim < 1 or value.size == 0 or (width is not None and value.size % width):
            faults.append(f"{name} has shape {value.shape}, expected (frames, {width})")
        else:
            return value.astype(np.float64).reshape(len(value), -1)
        return np.zeros((0, width or 0))

    if "poses" in arrays or "global_orient" not in arrays:
        poses, trans = array("poses", None), array("trans" if "trans" in arrays else "transl", 3)
        if not faults and (poses.shape[1] < 3 * _BODY_JOINTS or poses.shape[1] % 3):
            faults.append(f"poses has {poses.shape[1]} numbers a frame, expected 66 or more")
    else:
        orient, body = array("global_orient", 3), array("body_pose", None)
        trans = array("transl" if "transl" in arrays else "trans", 3)
        if not faults and (body.shape[1] not in (63, 69) or len(body) != len(orient)):
            faults.append(f"body_pose has shape {body.shape}, expected ({len(orient)}, 63 or 69)")
        poses = np.concatenate([orient, body], 1) if not faults else orient
    if not faults and len(trans) != len(poses):
        faults.append(f"{len(trans)} translations for {len(poses)} poses")
    rate = next((np.asarray(arrays[name]) for name in _RATES if name in arrays), np.array(DEFAULT_FPS))
    if rate.size != 1 or rate.dtype.kind not in "fiu" or not np.isfinite(rate).all() or not float(rate.ravel()[0]) > 0:
        faults.append(f"frame rate is {rate.tolist()}, expected one number above 0")
    betas = None
    if "betas" in arrays:
        given = array("betas", None)
        betas = np.zeros(NUM_BETAS)
        shape = (
            given.ravel() if np.asarray(arrays["betas"]).ndim < 2 else given.mean(0) if len(given) else given.ravel()
        )
        betas[: min(len(shape), NUM_BETAS)] = shape[:NUM_BETAS]
    if faults:
        raise ValueError(f"{where}: {'; '.join(faults)}; expected the parameters of SMPL, SMPL-H or SMPL-X")
    every = np.zeros((len(poses), NUM_JOINTS, 3))
    known = NUM_JOINTS if poses.shape[1] == 3 * NUM_JOINTS else _BODY_JOINTS
    every[:, :known] = poses[:, : 3 * known].reshape(len(poses), known, 3)
    return MotionFile(every, trans, float(rate.ravel()[0]), betas)
