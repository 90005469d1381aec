"""The subject's 133 joints from a person detector and a network that finds the joints in a box."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from tools.keypoints.assemble import assemble
from tools.keypoints.boxes import Person, persons
from workflow.conventions import BODY
from workflow.errors import Rejected
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

logger = logging.getLogger(__name__)

_BRIDGE_s = 0.5  # longest gap between two sightings that is looked into
_MARGIN = 0.1  # of a box made from joints, share of its size
_SEEN = 0.3

Detect = Callable[[np.ndarray], np.ndarray]
Pose = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], np.ndarray]


def find(
    detect: Detect, pose: Pose, frames: Frames, *, min_confidence: float, min_valid_share: float, batch: int
) -> Keypoints:
    """Find the subject's joints in all frames of a clip.

    Boxes are linked into persons by overlap and size; short gaps are bridged by boxes in between. Where no box is
    found in the whole clip, the whole picture is looked at, as DWPose does. A frame counts as valid when the mean
    confidence of the 17 body joints reaches `min_confidence`.

    Args:
        detect: Picture (H, W, 3) uint8 to people (K, 5): x0, y0, x1, y1 px and score.
        pose: Pictures and one box for each to joints (N, 133, 3): x, y px and confidence.
        frames: The clip.
        min_confidence: See above.
        min_valid_share: Clips in which the subject is seen less often are rejected.
        batch: Pictures at a time.

    Raises:
        Rejected: Nobody is seen, or fewer people than `subject` asks for, or the subject too rarely.
    """
    height, width = frames.rgb.frame_shape[:2]
    boxes = [detect(rgb) for rgb in frames.rgb]
    people = persons(boxes, frames.timestamps, width, height)
    figures = {"people": float(len(people))}
    everywhere = not any(map(len, boxes))
    if everywhere and frames.subject == 0:
        logger.info("no person was detected in any frame: the whole picture is looked at")
        where = {t: np.array([0.0, 0.0, width, height]) for t in range(len(boxes))}
    elif len(people) <= frames.subject:
        found = len(people)
        raise Rejected(f"person {frames.subject + 1} asked for, {found} found" if found else "no person found")
    else:
        subject = people[frames.subject]
        where = bridged(subject, frames.timestamps)
        figures["prominence"] = subject.prominence
        figures["detection_score"] = float(np.mean([box[4] for box in subject.boxes]))
    joints: dict[int, np.ndarray] = {}
    order = sorted(where)
    for start in range(0, len(order), batch):
        chunk = order[start : start + batch]
        found_joints = pose([frames.rgb[t] for t in chunk], [where[t][:4] for t in chunk])
        for t, found_here in zip(chunk, found_joints):
            if np.clip(found_here[BODY, 2], 0, 1).mean() >= min_confidence:
                joints[t] = found_here
                if everywhere:
                    where[t] = box_of(found_here)
    return assemble(len(boxes), joints, where, (height, width), min_valid_share, figures)


def bridged(person: Person, times: np.ndarray) -> dict[int, np.ndarray]:
    """Box (4,) by frame of a person, with those between sightings that are not far apart in time.

    Args:
        person: Sightings.
        times: Shape (T,), s.
    """
    found = {t: box[:4] for t, box in zip(person.frames, person.boxes)}
    for before, after in zip(person.frames, person.frames[1:]):
        if times[after] - times[before] > _BRIDGE_s:
            continue
        for t in range(before + 1, after):
            share = float((times[t] - times[before]) / (times[after] - times[before]))
            found[t] = (1 - share) * found[before] + share * found[after]
    return found


def box_of(joints: np.ndarray) -> np.ndarray:
    """Box (4,) round the joints (K, 3) that are seen."""
    seen = joints[joints[:, 2] > _SEEN, :2]
    points = seen if len(seen) else joints[:, :2]
    low, high = points.min(0), points.max(0)
    margin = _MARGIN * (high - low)
    return np.concatenate([low - margin, high + margin])
