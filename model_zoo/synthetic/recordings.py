"""Recorded motions in AMASS's form (Mahmood et al., ICCV 2019), brought into our world and to any frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from model_zoo.body.skeleton import INDEX, NUM_JOINTS
from model_zoo.synthetic.dressed import DressedBody
from model_zoo.synthetic.motion import Motion, about

_BODY_JOINTS = 22  # root and body of SMPL-H and SMPL-X; what follows are hands, which SMPL lacks
_REST_SPEED = 0.2  # m/s, a foot slower than this and near the ground rests on it
_REST_HEIGHT = 0.05  # m above its lowest place
_GROUND_FRAMES = 16


@dataclass(frozen=True)
class Recording:
    """A motion as recorded: z up, in SMPL's parameters.

    Attributes:
        poses: Shape (N, 24, 3), rad, axis-angle; joints that were not recorded are at rest.
        trans: Shape (N, 3), m.
        fps: Frames per second.
    """

    poses: np.ndarray
    trans: np.ndarray
    fps: float

    @property
    def seconds(self) -> float:
        """Length."""
        return (len(self.poses) - 1) / self.fps

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], where: str = "motion") -> Recording:
        """Take the arrays of an `.npz` of AMASS: `poses`, `trans`, `mocap_framerate` (or `mocap_frame_rate`).

        Raises:
            ValueError: They are missing or of the wrong form; the message lists all faults.
        """
        rate = next((arrays[key] for key in ("mocap_framerate", "mocap_frame_rate") if key in arrays), None)
        faults = [f"no {key}" for key in ("poses", "trans") if key not in arrays]
        if rate is None:
            faults.append("no mocap_framerate")
        if not faults:
            poses, trans = np.asarray(arrays["poses"], np.float64), np.asarray(arrays["trans"], np.float64)
            if poses.ndim != 2 or poses.shape[1] < 3 * _BODY_JOINTS or poses.shape[1] % 3 or len(poses) < 2:
                faults.append(f"poses has shape {poses.shape}, expected (2 or more, 66 or more)")
            if trans.shape != (len(poses), 3):
                faults.append(f"trans has shape {trans.shape}, expected ({len(poses)}, 3)")
            if not faults and not (np.isfinite(poses).all() and np.isfinite(trans).all()):
                faults.append("holds values that are not finite")
            if rate is not None and not float(rate) > 0:
                faults.append(f"mocap_framerate is {rate}, expected more than 0")
        if faults:
            raise ValueError(f"{where}: " + "; ".join(faults))
        every = np.zeros((len(poses), NUM_JOINTS, 3))
        known = NUM_JOINTS if poses.shape[1] == 3 * NUM_JOINTS else _BODY_JOINTS
        every[:, :known] = poses[:, : 3 * known].reshape(len(poses), known, 3)
        assert rate is not None
        return cls(every, trans, float(rate))


def recorded(
    recording: Recording, body: DressedBody, num_frames: int, fps: float, place: np.ndarray, start_s: float = 0.0
) -> Motion:
    """A recording on our ground, as a motion.

    The middle of the way is put at `place` and the body turned to face the camera's side (+z) there; the lowest sole
    of the clip touches the ground. Past its end the recording stands still.

    Args:
        recording: The recording.
        body: Who does it.
        num_frames: T.
        fps: Frames per second.
        place: Shape (2,), x and z, m, world.
        start_s: Where in the recording to begin.
    """
    times = np.clip(start_s + np.arange(num_frames) / fps, 0.0, recording.seconds)
    own = np.arange(len(recording.poses)) / recording.fps
    local = np.stack(
        [Slerp(own, Rotation.from_rotvec(recording.poses[:, j]))(times).as_rotvec() for j in range(NUM_JOINTS)], 1
    )
    trans = np.stack([np.interp(times, own, recording.trans[:, axis]) for axis in range(3)], 1)
    upright = about("x", -0.5 * np.pi)  # z up to y up
    root = upright @ Rotation.from_rotvec(local[:, 0]).as_matrix()
    pelvis = (trans + body.joints_rest[0]) @ upright.T
    middle = num_frames // 2
    facing = root[middle] @ np.array([0.0, 0.0, 1.0])
    turn = about("y", -np.arctan2(facing[0], facing[2]))
    root, pelvis = turn @ root, pelvis @ turn.T
    pelvis[:, [0, 2]] += np.asarray(place) - pelvis[middle, [0, 2]]
    motion = Motion(
        Rotation.from_matrix(root).as_rotvec(), local[:, 1:].reshape(num_frames, -1), pelvis - body.joints_rest[0],
        np.zeros((num_frames, 2), bool),
    )  # fmt: skip
    looked_at = np.unique(np.linspace(0, num_frames - 1, _GROUND_FRAMES).round().astype(int))
    moves = body.transforms(motion)
    lowest = min(float(body.vertices(moves[t])[:, 1].min()) for t in looked_at)
    transl = motion.transl - [0.0, lowest, 0.0]
    feet = body.joints(motion)[:, [INDEX["l_foot"], INDEX["r_foot"]]]
    speed = np.zeros((num_frames, 2))
    if num_frames > 1:
        speed = np.linalg.norm(np.gradient(feet, axis=0), axis=2) * fps
    rests = (speed < _REST_SPEED) & (feet[:, :, 1] < feet[:, :, 1].min() + _REST_HEIGHT)
    return Motion(motion.global_orient, motion.body_pose, transl, rests)
