"""What is exactly in a clip, as plain arrays: SMPL parameters, camera, keypoints, masks, depth of the body."""

from __future__ import annotations

import numpy as np

from model_zoo.synthetic.render import FrameTruth, Renderer, Shot


class TruthOfClip:
    """Gathers the truth of a clip frame by frame; masks are kept as bits."""

    def __init__(self, shot: Shot) -> None:
        """Start with no frames."""
        self._shot = shot
        self._keypoints: list[np.ndarray] = []
        self._in_view: list[np.ndarray] = []
        self._visible: list[np.ndarray] = []
        self._others: list[np.ndarray] = []
        self._masks: dict[str, list[np.ndarray]] = {"human": [], "amodal": [], "occluder": []}
        self._parsing: list[np.ndarray] = []
        self._depth: list[np.ndarray] = []
        self._normal: list[np.ndarray] = []

    def add(self, frame: FrameTruth) -> None:
        """Take down the next frame."""
        self._keypoints.append(frame.keypoints.astype(np.float32))
        self._in_view.append(frame.in_view)
        self._visible.append(frame.visible)
        self._others.append(frame.others.astype(np.float32))
        for name, masks in self._masks.items():
            masks.append(np.packbits(getattr(frame, name), axis=1))
        self._parsing.append(frame.parsing)
        self._depth.append(frame.body_depth.astype(np.float16))
        self._normal.append(np.rint(frame.body_normal * 127).astype(np.int8))

    def arrays(self) -> dict[str, np.ndarray]:
        """All frames.

        Returns:
            `betas` (10,); `global_orient` (T, 3), `body_pose` (T, 69), `transl` (T, 3) and `joints` (T, 24, 3) in the
            camera frame of each frame, m; `intrinsics` (3, 3), `world_from_camera` (T, 4, 4); `contacts` (T, 2);
            `keypoints` (T, 23, 2), px, COCO's 17 points and the 6 of the feet, `keypoints_in_view` and
            `keypoints_visible` (T, 23), `others` (T, N, 23, 2), the points of the other people;
            `human`, `amodal`, `occluder` (T, H, ceil(W / 8)) uint8, bits of the masks (`numpy.unpackbits` along the
            last axis); `parsing` (T, H, W) uint8; `body_depth` (T, H, W) float16, m, and `body_normal` (T, H, W, 3)
            int8, 1/127, camera frame, of the subject as if nothing stood before it, 0 where no body is; `size` (H, W);
            `fps`.
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
            "world_from_camera": pose.astype(np.float32),
            "contacts": motion.contacts,
            "keypoints": np.stack(self._keypoints),
            "keypoints_in_view": np.stack(self._in_view),
            "keypoints_visible": np.stack(self._visible),
            "others": np.stack(self._others),
            **{name: np.stack(masks) for name, masks in self._masks.items()},
            "parsing": np.stack(self._parsing),
            "body_depth": np.stack(self._depth),
            "body_normal": np.stack(self._normal),
            "size": np.array([camera.height, camera.width]),
            "fps": np.array(shot.fps),
        }


def rendered(shot: Shot, samples: int = 1) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A small clip and its truth at once, for tests: frames (T, H, W, 3) uint8, and `TruthOfClip.arrays`."""
    renderer, known = Renderer(shot, samples), TruthOfClip(shot)
    frames = []
    for t in range(len(shot)):
        frames.append(renderer.frame(t))
        known.add(renderer.truth(t))
    return np.stack(frames), known.arrays()
