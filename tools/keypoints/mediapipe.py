"""Keypoints by mediapipe 0.10.21: people found in key frames, the subject followed, hands and face on their crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tools.chatter import hushed
from tools.keypoints.clean import drop_short_runs, mend_spikes
from tools.keypoints.graphs import Networks, Picture
from tools.keypoints.head import visible_share, visible_share_of_face
from tools.keypoints.part_queue import PartQueue
from tools.keypoints.parts import Parts
from tools.keypoints.people import Person, look, tiles
from tools.keypoints.quality import measure
from tools.keypoints.survey import Identity, Sighting, identities, key_frames
from tools.keypoints.track import SubjectTracker
from tools.keypoints.wholebody import IN_3D, face_from_mesh, from_pose, inside
from workflow.conventions import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from workflow.errors import Rejected
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints, MediapipeParams

MAX_SIDE_px = 1920  # larger pictures are scaled down for the networks, whose own inputs are 256 px at most
NOSE, LEFT_WRIST, RIGHT_WRIST = 0, 15, 16  # pose landmarks
MIN_RUN = 3  # frames: a shorter appearance between two gaps is a false alarm


def load(params: MediapipeParams, files: Mapping[str, Path]) -> Callable[[Frames], Keypoints]:
    """Load the networks and return the finder of the subject's joints."""
    with hushed():
        networks = Networks(min_score=params.min_confidence)
    return lambda frames: find(networks, frames, params)


def find(networks: Networks, frames: Frames, params: MediapipeParams) -> Keypoints:
    """Find the subject's joints in all frames of a clip.

    Confidence of body and feet is the network's presence score times the visibility, times how far the mirrored
    picture confirms the joint, times how far it is on the visible side of the head. That of hands and face is the
    presence score of their networks, halved at most where the pose's own wrist or nose is in doubt; for the face
    likewise discounted on the far side of the head. It is 0 for what is not seen, outside the picture, or unknown to
    mediapipe (the small toes).

    Raises:
        Rejected: Nobody is seen, or fewer people than `subject` asks for, or the subject too rarely.
    """
    people = survey(networks, frames.rgb, frames.timestamps)
    if len(people) <= frames.subject:
        raise Rejected(_who_is_missing(len(people), frames.subject))
    subject = people[frames.subject]
    others = [person for person in people if person is not subject]
    joints = _Joints(len(frames.rgb), frames.rgb[0].shape)
    reacquired = _follow(networks, frames.rgb, frames.timestamps, subject, others, joints)
    joints.drop(joints.valid & ~drop_short_runs(joints.valid, MIN_RUN))
    joints.xy, joints.confidence, mended = mend_spikes(
        joints.xy, joints.confidence, joints.size, joints.valid, frames.timestamps
    )
    share = float(joints.valid.mean())
    if share < params.min_valid_share or not joints.valid.any():
        raise Rejected(
            f"the subject is seen in {share:.0%} of the frames, "
            f"fewer than min_valid_share = {params.min_valid_share:.0%}"
        )
    quality = measure(joints.xy, joints.confidence, joints.size, joints.valid)
    quality.update(
        people=float(len(people)),
        prominence=float(subject.prominence),
        reacquired=float(reacquired),
        mended_share=float(mended.sum() / max((joints.confidence > 0).sum(), 1)),
    )
    return joints.artifact(quality)


def survey(networks: Networks, rgb: Sequence[np.ndarray], timestamps: np.ndarray) -> list[Identity]:
    """Find the people of a clip, most prominent first, from its key frames."""
    seen: list[list[Sighting]] = []
    width = height = 1
    for index in key_frames(timestamps):
        picture = _picture(rgb[index])
        width, height = picture.width, picture.height
        people = look(networks, picture, tiles(width, height))
        seen.append([Sighting(index, float(timestamps[index]), person) for person in people])
    return identities(seen, width, height)


def _who_is_missing(found: int, subject: int) -> str:
    if found == 0:
        return "no person found"
    return f"person {subject + 1} asked for, {found} found"


def _follow(
    networks: Networks,
    rgb: Sequence[np.ndarray],
    timestamps: np.ndarray,
    subject: Identity,
    others: Sequence[Identity],
    joints: _Joints,
) -> int:
    """Fill `joints` by following the subject through the clip, then backwards into the gaps; count re-acquisitions."""
    tracker = SubjectTracker(networks, subject, others)
    seen: list[bool] = []
    returns: dict[int, Person] = {}  # first frame after each gap
    with PartQueue(networks, joints.put) as parts:
        for index, frame in enumerate(rgb):
            picture = _picture(frame)
            person = tracker.step(picture, float(timestamps[index]))
            if person is None:
                parts.forget()
            else:
                parts.add(index, picture, person)
                if seen and not seen[-1]:
                    returns[index] = person
            seen.append(person is not None)
        for index, person in returns.items():
            back = SubjectTracker(networks, subject, others)
            back.start_at(person, float(timestamps[index]))
            parts.forget()
            for earlier in range(index - 1, -1, -1):
                picture = _picture(rgb[earlier])
                found = None if seen[earlier] else back.step_back(picture, float(timestamps[earlier]))
                if found is None:
                    break
                seen[earlier] = True
                parts.add(earlier, picture, found)
    return tracker.reacquired


def _scale(shape: tuple[int, ...]) -> float:
    """How many source pixels a pixel of the networks' picture is wide."""
    return max(max(shape[:2]) / MAX_SIDE_px, 1.0)


def _picture(frame: np.ndarray) -> Picture:
    """Picture for the networks, scaled down where the frame is very large."""
    scale = _scale(frame.shape)
    if scale == 1.0:
        return Picture(frame)
    size = (max(round(frame.shape[1] / scale), 1), max(round(frame.shape[0] / scale), 1))
    return Picture(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


class _Joints:
    """Arrays of the artifact under construction, in source pixels; zero and false until put."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        """For `count` frames of (H, W, 3) = `shape`."""
        self._shape = shape
        self.xy = np.zeros((count, NUM_KEYPOINTS, 2), np.float32)
        self.confidence = np.zeros((count, NUM_KEYPOINTS), np.float32)
        self.xyz = np.zeros((count, NUM_KEYPOINTS, 3), np.float32)
        self.box = np.zeros((count, 4), np.float32)
        self.size = np.ones(count)
        self.valid = np.zeros(count, bool)

    def put(self, index: int, person: Person, parts: Parts) -> None:
        """Enter a person found in the networks' picture of a frame."""
        pose, shape, scale = person.pose, self._shape, _scale(self._shape)
        sure = pose.score * pose.belief * pose.visibility * visible_share(pose.world)
        xy, confidence, xyz = from_pose(pose.xy, sure, pose.world)
        for part, found, landmark in (
            (LEFT_HAND, parts.left_hand, LEFT_WRIST),
            (RIGHT_HAND, parts.right_hand, RIGHT_WRIST),
            (FACE, parts.face, NOSE),
        ):
            if found is not None:
                xy[part] = face_from_mesh(found.xy) if part == FACE else found.xy
                confidence[part] = found.score * (1 + pose.belief[landmark]) / 2
        confidence[FACE] *= visible_share_of_face(pose.world)
        xy, box = _to_source(xy, scale), _to_source(person.box, scale)
        confidence[~inside(xy, shape[1], shape[0])] = 0.0
        self.xy[index] = np.where(confidence[:, None] > 0, xy, 0.0)
        self.confidence[index] = np.clip(confidence, 0.0, 1.0)
        self.xyz[index] = xyz
        self.box[index] = np.clip(box, -0.5, np.array([shape[1], shape[0]] * 2) - 0.5)
        self.size[index] = person.height * scale
        self.valid[index] = True

    def drop(self, frames: np.ndarray) -> None:
        """Clear frames, (T,) bool."""
        for field in (self.xy, self.confidence, self.xyz, self.box, self.valid):
            field[frames] = 0

    def artifact(self, quality: dict[str, float]) -> Keypoints:
        return Keypoints(
            xy=self.xy,
            confidence=self.confidence.astype(np.float32),
            xyz=self.xyz,
            xyz_valid=self.valid[:, None] & IN_3D,
            box=self.box,
            valid=self.valid,
            quality=quality,
        )


def _to_source(points: np.ndarray, scale: float) -> np.ndarray:
    """Pixel centres of a picture to those of a source `scale` times as large."""
    return points if scale == 1.0 else (points + 0.5) * scale - 0.5
