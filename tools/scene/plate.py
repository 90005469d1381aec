"""Background plates: what the scene looks like behind the subject, from all sampled frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tools.scene.difference import farthest_channel
from tools.scene.exemplar import complete

_CLOSEST = 9  # donors nearest in time that vote, when the camera moves
_GAIN = (0.75, 1.33)  # range of exposure differences that are corrected
_CONFIRMED = 3  # donors that must agree for a pixel of the plate to be relied on
_OTHER = 26.0  # 8-bit difference from the plate that is another thing
_NONE = 1000  # sorted behind all colours
_TEXTURE_px = 72  # of known picture round a hole from which texture is taken
_LARGE_HOLE = 400  # px from which on texture is copied
_MIN_COMMON = 400  # px two frames must share for their exposures to be compared


@dataclass(frozen=True)
class Donor:
    """A sampled frame at plate resolution.

    Attributes:
        index: Frame of the clip.
        rgb: Shape (h, w, 3), uint8.
        clear: Shape (h, w), uint8: 255 where the scene is seen.
    """

    index: int
    rgb: np.ndarray
    clear: np.ndarray


@dataclass
class Plate:
    """Scene in a part of one frame's plane, without subject and passers-by.

    Attributes:
        index: Frame whose plane it is.
        plate_from_source: Shape (3, 3), from that frame's source pixels.
        rgb: Shape (h, w, 3), uint8.
        state: Shape (h, w), uint8: 0 unknown, 1 seen, 2 inpainted.
        votes: Shape (h, w), uint8: how many donors saw the pixel.
    """

    index: int
    plate_from_source: np.ndarray
    rgb: np.ndarray
    state: np.ndarray
    votes: np.ndarray


def build(
    index: int,
    plate_from_source: np.ndarray,
    size: tuple[int, int],
    needed: np.ndarray,
    donors: list[Donor],
    plate_from_donor: list[np.ndarray],
    closest: int = _CLOSEST,
) -> Plate:
    """Median of the donors that see a pixel, after their exposures are matched to the frame's own.

    The median rejects what only passes by; with a moving camera only the donors nearest in time vote, because a
    homography holds the less the farther the camera has gone.

    Args:
        index: Frame whose plane the plate lies in.
        plate_from_source: Shape (3, 3).
        size: Width and height, px.
        needed: Shape (h, w), bool: where the plate is wanted.
        donors: Nearest in time first.
        plate_from_donor: Shape (3, 3) each, from the donors' pixels.
        closest: How many donors vote.
    """
    height, width = size[1], size[0]
    rows, columns = np.nonzero(needed)
    rgb = np.zeros((height, width, 3), np.uint8)
    state = np.zeros((height, width), np.uint8)
    most = min(closest, len(donors))
    values = np.full((len(rows), 3, most), _NONE, np.int16)
    count = np.zeros(len(rows), np.int64)
    first: tuple[np.ndarray, np.ndarray] | None = None
    for donor, matrix in zip(donors, plate_from_donor):
        picture = cv2.warpPerspective(donor.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        clear = cv2.warpPerspective(donor.clear, matrix, size, flags=cv2.INTER_LINEAR) > 250
        if first is None:
            first = picture, clear
        else:
            picture = match_exposure(picture, clear, *first)
        taken = np.flatnonzero(clear[rows, columns] & (count < most))
        values[taken, :, count[taken]] = picture[rows[taken], columns[taken]]
        count[taken] += 1
        if count.min(initial=most) >= most:
            break
    values.sort(axis=-1)
    known = np.flatnonzero(count)
    low, high = (count[known] - 1) // 2, count[known] // 2
    middle = (values[known, :, low] + values[known, :, high] + 1) // 2
    rgb[rows[known], columns[known]] = middle.astype(np.uint8)
    state[rows[known], columns[known]] = 1
    votes = np.zeros((height, width), np.uint8)
    votes[rows, columns] = np.minimum(count, 255)
    return Plate(index, plate_from_source, rgb, state, votes)


def movers(picture: np.ndarray, clear: np.ndarray, plate: Plate, start: np.ndarray, reach_px: int) -> np.ndarray:
    """Things in a donor that belong to the subject's movement (a ball, a racket), not to the scene.

    Pieces that differ from the plate and touch the subject or its occluder; and, close to those, what no other donor
    confirms.

    Args:
        picture: Shape (h, w, 3), uint8: the donor in the plate's pixels.
        clear: Shape (h, w), bool: where it is taken for scene.
        plate: Made from all donors.
        start: Shape (h, w), bool: the subject and its occluder in the donor.
        reach_px: How far such a thing may extend.

    Returns:
        Shape (h, w), bool.
    """
    confirmed = plate.votes >= _CONFIRMED
    difference = farthest_channel(picture, plate.rgb)
    other = cv2.blur(np.where(clear & confirmed, difference, 0).astype(np.float32), (3, 3)) > _OTHER
    near = within(start, reach_px)
    grown = cv2.dilate(start.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    _, labels = cv2.connectedComponents(((other & near) | grown).astype(np.uint8))
    moving = np.isin(labels, np.unique(labels[grown])) if grown.any() else grown
    moving = cv2.dilate((moving & ~start).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    lonely = clear & (plate.votes > 0) & ~confirmed
    return moving | (lonely & within(moving | start, reach_px // 2))


def within(mask: np.ndarray, distance_px: float) -> np.ndarray:
    """Pixels no farther than a distance from a mask, shape (h, w), bool."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) <= distance_px


def match_exposure(picture: np.ndarray, clear: np.ndarray, target: np.ndarray, target_clear: np.ndarray) -> np.ndarray:
    """Scale each channel so that pixels both frames see have the same median, shape (h, w, 3), uint8."""
    common = (clear & target_clear)[::2, ::2]
    if common.sum() < _MIN_COMMON:
        return picture
    own = picture[::2, ::2][common].astype(np.float32)
    wanted = target[::2, ::2][common].astype(np.float32)
    usable = ((own > 8) & (own < 248) & (wanted > 8) & (wanted < 248)).all(1)
    if usable.sum() < _MIN_COMMON // 4:
        return picture
    gain = np.clip(np.median(wanted[usable] / own[usable], axis=0), *_GAIN)
    if np.abs(gain - 1.0).max() < 0.004:
        return picture
    table = np.clip(np.arange(256)[:, None] * gain[None], 0, 255).round().astype(np.uint8)
    return cv2.LUT(picture, table[:, None, :])


def inpaint(
    plate: Plate, needed: np.ndarray, radius_px: int, neighbour: Plate | None, plate_from_neighbour: np.ndarray | None
) -> None:
    """Give every needed pixel a colour: what a finished plate beside it shows, then inpainting.

    Args:
        plate: Changed in place; filled pixels get state 2.
        needed: Shape (h, w), bool.
        radius_px: Of the inpainting.
        neighbour: A finished plate, so that what was invented once stays the same in all frames; None for the first.
        plate_from_neighbour: Shape (3, 3), from its pixels.
    """
    missing = needed & (plate.state == 0)
    if not missing.any():
        return
    size = plate.state.shape[::-1]
    if neighbour is not None and plate_from_neighbour is not None:
        picture = cv2.warpPerspective(neighbour.rgb, plate_from_neighbour, size, flags=cv2.INTER_LINEAR)
        known = cv2.warpPerspective((neighbour.state > 0).astype(np.uint8) * 255, plate_from_neighbour, size) > 250
        take = missing & known
        plate.rgb[take] = picture[take]
        plate.state[take] = 2
        missing &= ~take
    if missing.any():
        known = plate.state > 0
        if not known.any():
            return
        plate.rgb[missing] = fill(plate.rgb, missing, ~known & ~missing, radius_px)[missing]
        plate.state[missing] = 2


def fill(rgb: np.ndarray, missing: np.ndarray, absent: np.ndarray, radius_px: int) -> np.ndarray:
    """Inpaint: large holes by copied texture, small ones by diffusion.

    Large holes are completed with patches of the picture round them (`exemplar`),
    which diffusion (Telea 2004) would smear.

    Args:
        rgb: Shape (h, w, 3), uint8.
        missing: Shape (h, w), bool: to be filled.
        absent: Shape (h, w), bool: neither wanted nor known.
        radius_px: Of the diffusion.

    Returns:
        Shape (h, w, 3), uint8; pixels that are neither missing nor absent are unchanged.
    """
    x, y, w, h = cv2.boundingRect(missing.astype(np.uint8))
    part = (
        slice(max(y - _TEXTURE_px, 0), y + h + _TEXTURE_px),
        slice(max(x - _TEXTURE_px, 0), x + w + _TEXTURE_px),
    )
    out = rgb.copy()
    unknown = missing[part] | absent[part]
    picture = np.ascontiguousarray(rgb[part])
    if missing.sum() >= _LARGE_HOLE:
        filled = complete(picture, unknown)
    else:
        filled = cv2.inpaint(picture, unknown.astype(np.uint8), radius_px, cv2.INPAINT_TELEA)
    out[part][unknown] = filled[unknown]
    return out
