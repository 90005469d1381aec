"""What is exactly in a clip, as plain arrays: SMPL parameters, camera, keypoints, masks, depth of the body."""

from __future__ import annotations

import numpy as np

from model_zoo.synthetic.everything import Everything
from model_zoo.synthetic.render import FrameTruth, Renderer, Shot


def pictures(frame: FrameTruth) -> dict[str, np.ndarray]:
    """What is said of every pixel of a frame about the subject, as it is stored.

    Returns:
        `human`, `amodal`, `occluder` (H, ceil(W / 8)) uint8, bits of the masks (`numpy.unpackbits` along the last
        axis); `parsing` (H, W) uint8; `body_depth` (H, W) float16, m, and `body_normal` (H, W, 3) int8, 1/127, camera
        frame, of the subject as if nothing stood before it, 0 where no body is.
    """
    return {
        **{name: np.packbits(getattr(frame, name), axis=1) for name in ("human", "amodal", "occluder")},
        "parsing": frame.parsing,
        "body_depth": frame.body_depth.astype(np.float16),
        "body_normal": np.rint(frame.body_normal * 127).astype(np.int8),
    }


def pictures_of_everything(seen: Everything, background: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of every pixel about all there is, as it is stored.

    Returns:
        `kind` (H, W) uint8; `depth` (H, W) float16, m; `normal` (H, W, 3) int8, 1/127, camera frame; `flow` (H, W, 2)
        float16, px; see `Everything`. `background` (H, W, 3) uint8, sRGB, the frame without the subject.
    """
    return {
        "kind": seen.kind,
        "depth": seen.depth.astype(np.float16),
        "normal": np.rint(127 * seen.normal).astype(np.int8),
        "flow": seen.flow.astype(np.float16),
        "background": background,
    }


class TruthOfClip:
    """Gathers the truth of a clip frame by frame."""

    def __init__(self, shot: Shot, with_pictures: bool = True) -> None:
        """Start with no frames; without pictures, memory hardly grows with the clip."""
        self._shot = shot
        self._with_pictures = with_pictures
        self._frames: list[dict[str, np.ndarray]] = []

    def add(self, frame: FrameTruth) -> None:
        """Take down the next frame."""
        self._frames.append(
            {
                "keypoints": frame.keypoints.astype(np.float32),
                "keypoints_xyz": frame.keypoints_xyz.astype(np.float32),
                "keypoints_in_view": frame.in_view,
                "keypoints_visible": frame.visible,
                "others": frame.others.astype(np.float32),
                **(pictures(frame) if self._with_pictures else {}),
            }
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All frames.

        Returns:
            `betas` (10,); `global_orient` (T, 3), `body_pose` (T, 69), `transl` (T, 3) and `joints` (T, 24, 3) in the
            camera frame of each frame, m; `intrinsics` (3, 3), `distortion` (2,), see `Camera`, `world_from_camera`
            (T, 4, 4); `contacts` (T, 2);
            `keypoints` (T, 23, 2), px, COCO's 17 points and the 6 of the feet, `keypoints_xyz` (T, 23, 3), m, camera
            frame, `keypoints_in_view` and `keypoints_visible` (T, 23), `others` (T, N, 23, 2), the points of the other
            people; `size` (H, W); `fps`; `pictures` with T in front.
        """
        shot = self._shot
        body, motion, camera = shot.subject.body, shot.subject.motion, shot.camera
        orient, transl = motion.seen_from(camera.world_from_camera, body.joints_rest[0])
        pose = camera.world_from_camera
        joints = np.einsum("tij,tkj->tki", pose[:, :3, :3].swapaxes(1, 2), body.joints(motion) - pose[:, None, :3, 3])
        return {
            "betas": body.betas.astype(np.float32),
            "global_orient": orient.astype(np.float32),
            "body_pose": motion.body_pose.astype(np.float32),
            "transl": transl.astype(np.float32),
            "joints": joints.astype(np.float32),
            "intrinsics": camera.intrinsics.astype(np.float32),
            "distortion": np.array(camera.distortion, np.float32),
            "world_from_camera": pose.astype(np.float32),
            "contacts": motion.contacts,
            **{name: np.stack([frame[name] for frame in self._frames]) for name in self._frames[0]},
            "size": np.array([camera.height, camera.width]),
            "fps": np.array(shot.fps),
        }


def rendered(shot: Shot, samples: int = 1) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A small clip and its truth at once, for tests: frames (T, H, W, 3) uint8; `TruthOfClip.arrays`."""
    renderer, known = Renderer(shot, samples), TruthOfClip(shot)
    frames = []
    for t in range(len(shot)):
        frames.append(renderer.frame(t))
        known.add(renderer.truth(t))
    return np.stack(frames), known.arrays()
