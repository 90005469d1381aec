"""The subject from frame to frame: followed, checked against his looks, lost and found again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.keypoints.graphs import Networks, Picture
from tools.keypoints.mirror import second_opinion
from tools.keypoints.people import Person, body_roi, iou, look, person_box, person_of, pose_at, tiles
from tools.keypoints.survey import Identity

MAX_FOLLOW_GAP_s = 0.2  # farther apart, frames are searched one by one
MEMORY_s = 1.0  # for how long the last place tells where the next one is
CHECK_EVERY_s = 0.4
MIN_FOLLOW_IOU = 0.2
MAX_SIZE_STEP = 1.6
FOLLOW_LIKENESS, FIND_LIKENESS = 0.6, 0.75  # of what is typical for the subject
RIVAL_MARGIN = 0.05  # by which somebody else may look more like a third person than like the subject
HOLD_BONUS = 0.1  # for the person followed now, against those found by searching
NEAR_BONUS = 0.3
STEP_REACH, SPEED_REACH_per_s = 0.4, 2.0  # body sizes: no person, with a panning camera, moves faster
SEARCH_REACH = 1.0  # body sizes round the last place
ALL_TILES_EVERY = 4  # frames of being lost


class SubjectTracker:
    """Finds the subject in frames given in order, or in reverse order.

    Args:
        networks: mediapipe's networks.
        subject: The person to follow.
        others: The other people of the clip: whoever looks more like one of them is not the subject.
    """

    def __init__(self, networks: Networks, subject: Identity, others: Sequence[Identity]) -> None:
        self._networks = networks
        self._subject = subject.looks()
        self._others = [other.looks() for other in others]
        self._last: Person | None = None
        self._velocity = np.zeros((2, 2))  # px/s of the alignment points
        self._seen_at = -np.inf
        self._checked_at = -np.inf
        self._lost = 0
        self.reacquired = 0

    def start_at(self, person: Person, time: float) -> None:
        """Take a person as found at a time (s)."""
        self._remember(person, time)

    def step(self, picture: Picture, time: float) -> Person | None:
        """Find the subject in the next frame, shown at `time` (s); None where he is not seen."""
        person = self.follow(picture, time)
        due = abs(time - self._checked_at) >= CHECK_EVERY_s
        if person is None or due or self._share(person) < FIND_LIKENESS:
            found = self._search(picture, time, person)
            self._checked_at = time
            self.reacquired += self._is_return(found, time)
            person = found
        if person is None:
            self._lost += 1
            return None
        return self._settle(picture, person, time)

    def step_back(self, picture: Picture, time: float) -> Person | None:
        """Follow the subject into a frame, without searching for him elsewhere."""
        person = self.follow(picture, time)
        return None if person is None else self._settle(picture, person, time)

    def follow(self, picture: Picture, time: float) -> Person | None:
        """Look for the subject only where he is expected after the last frame."""
        gap = time - self._seen_at
        if self._last is None or abs(gap) > MAX_FOLLOW_GAP_s:
            return None
        expected = self._last.pose.alignment + self._velocity * gap
        pose = pose_at(self._networks, picture, body_roi(expected))
        person = None if pose is None else person_of(picture, pose)
        if person is None:
            return None
        step = person.height / self._last.height
        moved = self._last.box + np.tile(self._velocity[0] * gap, 2)
        if not 1 / MAX_SIZE_STEP < step < MAX_SIZE_STEP or iou(person.box, moved) < MIN_FOLLOW_IOU:
            return None
        return person if self._share(person) >= FOLLOW_LIKENESS and self._is_subject(person) else None

    def _settle(self, picture: Picture, person: Person, time: float) -> Person:
        """Hear the second opinion on the subject's pose and remember him."""
        expected = None
        if self._last is not None and abs(time - self._seen_at) <= MAX_FOLLOW_GAP_s:
            expected = self._last.pose.xy + (person.centre - self._last.centre)
        roi = body_roi(person.pose.alignment)
        pose = second_opinion(self._networks, picture, roi, person.pose, person.height, expected)
        box = person_box(pose, picture.width, picture.height)
        person = Person(pose, box, person.appearance, person.detection_score)
        self._remember(person, time)
        return person

    def _search(self, picture: Picture, time: float, current: Person | None) -> Person | None:
        gap = abs(time - self._seen_at)
        regions = tiles(picture.width, picture.height)
        if self._last is not None and gap <= MEMORY_s:
            regions = [regions[0], _around(self._last.box, picture.width, picture.height)]
        elif self._lost % ALL_TILES_EVERY:
            regions = regions[:1]
        best, best_worth = current, -np.inf if current is None else self._worth(current, gap) + HOLD_BONUS
        for person in look(self._networks, picture, regions):
            near = self._last is not None and gap <= MEMORY_s and iou(person.box, self._last.box) >= MIN_FOLLOW_IOU
            enough = FOLLOW_LIKENESS if near else FIND_LIKENESS
            if self._share(person) < enough or not self._is_subject(person) or not self._within_reach(person, gap):
                continue
            worth = self._worth(person, gap)
            if worth > best_worth and not (current is not None and iou(person.box, current.box) > 0.5):
                best, best_worth = person, worth
        return best

    def _is_return(self, found: Person | None, time: float) -> bool:
        """Tell whether somebody found was lost before, or is not where he was a moment ago."""
        if found is None or self._last is None:
            return False
        jumped = abs(time - self._seen_at) <= MAX_FOLLOW_GAP_s and iou(found.box, self._last.box) < MIN_FOLLOW_IOU
        return jumped or self._lost > 0

    def _within_reach(self, person: Person, gap: float) -> bool:
        """Tell whether the subject can have come this far since he was last seen; anything goes after a while."""
        if self._last is None or gap > MEMORY_s:
            return True
        return float(np.linalg.norm(person.centre - self._last.centre)) <= self._last.height * (
            STEP_REACH + SPEED_REACH_per_s * gap
        )

    def _share(self, person: Person) -> float:
        """Likeness as a share of the typical one."""
        return self._subject.likeness(person.appearance) / self._subject.typical

    def _is_subject(self, person: Person) -> bool:
        like = self._subject.likeness(person.appearance)
        return all(other.likeness(person.appearance) <= like + RIVAL_MARGIN for other in self._others)

    def _worth(self, person: Person, gap: float) -> float:
        worth = self._share(person)
        if self._last is not None and gap <= MEMORY_s:
            away = float(np.linalg.norm(person.centre - self._last.centre)) / self._last.height
            worth += NEAR_BONUS * float(np.exp(-away / (0.2 + gap)))
        return worth

    def _remember(self, person: Person, time: float) -> None:
        gap = time - self._seen_at
        if self._last is not None and 0 < abs(gap) <= MAX_FOLLOW_GAP_s:
            self._velocity = (person.pose.alignment - self._last.pose.alignment) / gap
        else:
            self._velocity = np.zeros((2, 2))
        self._last, self._seen_at, self._lost = person, time, 0


def _around(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Square region round a box, grown by the reach, cut to the picture."""
    centre = (box[:2] + box[2:]) / 2
    half = (0.5 + SEARCH_REACH) * float((box[2:] - box[:2]).max())
    low = np.clip(np.floor(centre - half), 0, None).astype(int)
    high = np.minimum(np.ceil(centre + half), (width, height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
