"""Who is in a clip: the people of some key frames, linked over time and ordered by prominence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from tools.keypoints.appearance import Appearance, similarity
from tools.keypoints.people import Person

KEY_FRAME_EVERY_s = 0.5
MIN_KEY_FRAMES, MAX_KEY_FRAMES = 8, 32
MIN_LINK = 0.45  # affinity in [0, 1] below which two sightings are two people
MIN_LINK_LIKENESS = 0.82  # likewise for the clothes alone; measured: same person 0.86 and more, others up to 0.8
TYPICAL_SHARE = 0.85  # a sighting less like the others than this share of the usual shows clothes of two people
RETURN_LIKENESS = 0.8  # of somebody who left and came back
POSTURE_LIKENESS = 0.6  # of somebody who bends and shows other clothes
RETURN_SIZE_RATIO = 1.6
RECENT = 5  # sightings that a new one is compared with
SURE_POSE_SCORE, SURE_DETECTION_SCORE = 0.8, 0.5  # at least one sighting as good as this makes a person
MIN_SIGHTINGS, MANY_KEY_FRAMES = 2, 4


@dataclass(frozen=True)
class Sighting:
    """A person in a key frame: frame index, time (s), the person."""

    frame: int
    time: float
    person: Person


@dataclass
class Identity:
    """One person of the clip: the sightings in order, and how prominent the person is in [0, 1]."""

    sightings: list[Sighting] = field(default_factory=list)
    prominence: float = 0.0

    def looks(self) -> Looks:
        """What the person looks like, from the sightings that agree with each other."""
        all_looks = [seen.person.appearance for seen in self.sightings]
        if len(all_looks) < 3:
            return Looks(tuple(all_looks), 1.0)
        likeness = np.array([[similarity(a, b) for b in all_looks] for a in all_looks])
        np.fill_diagonal(likeness, np.nan)
        usual = np.nanmedian(likeness, axis=1)
        agreeing = usual >= TYPICAL_SHARE * np.median(usual)
        typical = float(np.median(np.nanmax(likeness[np.ix_(agreeing, agreeing)], axis=1)))
        return Looks(tuple(look for look, agrees in zip(all_looks, agreeing) if agrees), typical)


@dataclass(frozen=True)
class Looks:
    """Appearances of one person, and how much one of them is usually like the nearest other, [0, 1]."""

    appearances: tuple[Appearance, ...]
    typical: float

    def likeness(self, appearance: Appearance) -> float:
        """How much somebody looks like this person at the most similar sighting, [0, 1]."""
        return max(similarity(appearance, seen) for seen in self.appearances)


def key_frames(times: np.ndarray) -> list[int]:
    """Choose frames spread evenly over the clip, every half second, within bounds; (T,) s to sorted indices."""
    if len(times) == 0:
        return []
    duration = float(times[-1] - times[0])
    count = int(np.clip(np.ceil(duration / KEY_FRAME_EVERY_s) + 1, MIN_KEY_FRAMES, MAX_KEY_FRAMES))
    return sorted({int(round(index)) for index in np.linspace(0, len(times) - 1, min(count, len(times)))})


def identities(frames: Sequence[Sequence[Sighting]], width: int, height: int) -> list[Identity]:
    """Link the sightings of the key frames (one sequence per key frame, in order) into people, most prominent first.

    Somebody never seen surely, or once only in many key frames, is left out: a false alarm or a passer-by's sleeve.
    """
    found: list[Identity] = []
    for sightings in frames:
        _link(found, sightings)
    _join_returns(found)
    kept = [person for person in found if _is_sure(person, len(frames))]
    for person in kept:
        person.prominence = sum(_weight(seen.person, width, height) for seen in person.sightings) / len(frames)
    return sorted(kept, key=lambda person: (-person.prominence, person.sightings[0].frame))


def _link(found: list[Identity], sightings: Sequence[Sighting]) -> None:
    affinity = np.array([[_affinity(person, seen) for seen in sightings] for person in found])
    unlinked = set(range(len(sightings)))
    if affinity.size:
        for row, column in zip(*linear_sum_assignment(-affinity)):
            if affinity[row, column] >= MIN_LINK:
                found[row].sightings.append(sightings[column])
                unlinked.discard(int(column))
    found.extend(Identity([sightings[column]]) for column in sorted(unlinked))


def _affinity(person: Identity, seen: Sighting) -> float:
    last = person.sightings[-1]
    like = max(similarity(seen.person.appearance, old.person.appearance) for old in person.sightings[-RECENT:])
    reach = seen.person.height * (0.25 + 0.75 * (seen.time - last.time))
    near = np.exp(-float(np.linalg.norm(seen.person.centre - last.person.centre)) / reach)
    return like * (0.4 + 0.6 * float(near)) if like >= MIN_LINK_LIKENESS else 0.0


def _join_returns(found: list[Identity]) -> None:
    """Join those who are one person."""
    first = 0
    while first < len(found):
        second = first + 1
        while second < len(found):
            if _same(found[first], found[second]):
                joined = found[first].sightings + found.pop(second).sightings
                found[first].sightings = sorted(joined, key=lambda seen: seen.frame)
                second = first + 1
            else:
                second += 1
        first += 1


def _same(a: Identity, b: Identity) -> bool:
    """Tell whether two people, never seen together, are one who left and came back, or one in an unusual posture."""
    frames = [{seen.frame for seen in person.sightings} for person in (a, b)]
    sizes = [np.median([seen.person.height for seen in person.sightings]) for person in (a, b)]
    if frames[0] & frames[1] or max(sizes) > RETURN_SIZE_RATIO * min(sizes):
        return False
    looks = a.looks()
    like = float(np.median([looks.likeness(seen.person.appearance) for seen in b.sightings]))
    apart = max(frames[0]) < min(frames[1]) or max(frames[1]) < min(frames[0])
    return (apart and like > RETURN_LIKENESS) or (like > POSTURE_LIKENESS and _side_by_side(a, b))


def _side_by_side(a: Identity, b: Identity) -> bool:
    """Tell whether `b` is always where `a` is shortly before or after."""
    for seen in b.sightings:
        near = min(a.sightings, key=lambda other: abs(other.time - seen.time))
        reach = seen.person.height * (0.25 + 0.5 * abs(near.time - seen.time))
        if np.linalg.norm(seen.person.centre - near.person.centre) > reach:
            return False
    return True


def _is_sure(person: Identity, num_frames: int) -> bool:
    sure = any(
        seen.person.pose.score >= SURE_POSE_SCORE and seen.person.detection_score >= SURE_DETECTION_SCORE
        for seen in person.sightings
    )
    return sure and (len(person.sightings) >= MIN_SIGHTINGS or num_frames < MANY_KEY_FRAMES)


def _weight(person: Person, width: int, height: int) -> float:
    """Size times centrality times sureness, [0, 1]."""
    size = min(person.box[3] - person.box[1], height) / height
    middle = (person.box[0] + person.box[2]) / 2
    off = min(abs(middle - (width - 1) / 2) / (width / 2), 1.0)
    return float(size * (1.0 - 0.5 * off) * person.pose.score)
