"""Clips of a doll that waves and steps, with known truth."""

import dataclasses

import numpy as np

from model_zoo.body.landmarks import keypoint_regressor
from model_zoo.body.smpl import SmplModel, kinematics, pose_matrices, posed_from_rest
from workflow.stages.keypoints import Keypoints

SIZE = (720, 1280)
MIRRORED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 20, 21, 22, 17, 18, 19]


@dataclasses.dataclass(frozen=True)
class Clip:
    """What a network would see of a moving doll, and where its joints are (T, 24, 3), m."""

    keypoints: Keypoints
    joints: np.ndarray
    transl: np.ndarray
    fps: float = 25.0


def change(clip: Clip, **fields: np.ndarray) -> Clip:
    return dataclasses.replace(clip, keypoints=dataclasses.replace(clip.keypoints, **fields))


def cut(clip: Clip, frames: slice) -> Clip:
    fields = {name: getattr(clip.keypoints, name)[frames] for name in Keypoints.specs()}
    return Clip(Keypoints(**fields), clip.joints[frames], clip.transl[frames], clip.fps)


def make_clip(
    doll: SmplModel, frames: int, noise: float, seed: int = 0, aside: float = 0.0, lean: float = 0.14
) -> Clip:
    """A doll that waves and steps before the default camera.

    Args:
        doll: The body.
        frames: At 25 per second.
        noise: 1 for errors of 10 px and 20 mm, one frame with left and right exchanged, one without the doll.
        seed: Of the noise.
        aside: m, distance of the doll from the middle of the picture.
        lean: rad, how far the camera looks down on the upright doll.
    """
    random = np.random.default_rng(seed)
    time = np.arange(frames) / 25
    pose = np.zeros((frames, 24, 3))
    pose[:, 0] = [np.pi + lean, 0, 0]  # upright, facing a camera whose y points down
    pose[:, 16, 2], pose[:, 17, 2] = -1.0 + 0.5 * np.sin(4 * time), 1.0
    pose[:, 18, 1], pose[:, 19, 1] = -0.8, 0.6 + 0.4 * np.sin(5 * time)
    pose[:, 1, 0], pose[:, 4, 0] = -0.4 - 0.3 * np.sin(3 * time), 0.6 + 0.3 * np.sin(3 * time)
    transl = np.stack([aside + 0.2 * np.sin(time), 0 * time + 0.1, 3.5 + 0.2 * time], 1)
    betas = np.zeros(10)
    poser = doll.poser(betas)
    joints = poser.joints(pose[:, 0], pose[:, 1:].reshape(frames, 69), transl)
    rotations = pose_matrices(pose[:, 0], pose[:, 1:].reshape(frames, 69))
    transforms = posed_from_rest(kinematics(rotations, poser.joints_rest), poser.joints_rest)
    rows = keypoint_regressor(doll)
    blend = np.einsum("kj,tjab->tkab", rows @ doll.weights, transforms[:, :, :3])
    points = (blend[..., :3] @ (rows @ doll.v_template)[..., None])[..., 0] + blend[..., 3] + transl[:, None]
    height, width = SIZE
    focal = 1.2 * min(SIZE)
    pixels = points[..., :2] / points[..., 2:] * focal + [(width - 1) / 2, (height - 1) / 2]
    # Landmarks as a network gives them that sees the doll straight ahead.
    middle = points[:, [5, 6, 11, 12]].mean(1)
    angle = np.arctan2(middle[:, 0], middle[:, 2])
    turned = points - points[:, 11:13].mean(1, keepdims=True)
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    solid = np.stack(
        [
            cosine * turned[..., 0] - sine * turned[..., 2],
            turned[..., 1],
            sine * turned[..., 0] + cosine * turned[..., 2],
        ],
        -1,
    )
    pixels += noise * 10 * random.normal(size=pixels.shape)
    solid += noise * 0.02 * random.normal(size=solid.shape)
    valid = np.ones(frames, dtype=bool)
    if noise and frames > 12:
        pixels[5], solid[5] = pixels[5][MIRRORED], solid[5][MIRRORED]
        valid[9] = False
    fields = {
        "xy": np.zeros((frames, 133, 2), np.float32),
        "confidence": np.zeros((frames, 133), np.float32),
        "xyz": np.zeros((frames, 133, 3), np.float32),
        "xyz_valid": np.zeros((frames, 133), bool),
    }
    fields["xy"][:, :23], fields["confidence"][:, :23] = pixels, 0.9
    fields["xyz"][:, :23], fields["xyz_valid"][:, :23] = solid, True
    box = np.concatenate([pixels.min(1), pixels.max(1)], 1).astype(np.float32)
    return Clip(Keypoints(**fields, box=box, valid=valid), joints, transl)
