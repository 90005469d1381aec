"""A person cut out of a picture that somebody gives: by its transparency, a mask, or a plain background."""

from __future__ import annotations

import cv2
import numpy as np

_PLAIN_SHARE, _PLAIN_LEVELS = 0.95, 14  # of the border's pixels, near its own middle colour
_APART_LEVELS = 24  # from the background, that a pixel of the person is
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.95  # of the picture, that a person covers
_HALF = 128


def person(picture: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Which pixels are the person.

    Args:
        picture: Shape (H, W, 3) or (H, W, 4), uint8, RGB or RGBA.
        mask: Shape (H, W), uint8, more than half is the person; taken before anything else.

    Returns:
        Shape (H, W), bool.

    Raises:
        ValueError: Nothing tells the person from the rest.
    """
    if mask is not None:
        if mask.shape != picture.shape[:2]:
            raise ValueError(f"the mask is {mask.shape[1]} x {mask.shape[0]} px, the picture {_size(picture)}")
        found = mask >= _HALF
    elif picture.shape[2] == 4 and (picture[..., 3] < _HALF).any():
        found = picture[..., 3] >= _HALF
    else:
        found = _before_plain(picture[..., :3])
    share = float(found.mean())
    if not _LEAST_SHARE <= share <= _MOST_SHARE:
        raise ValueError(f"the person covers {share:.1%} of the picture; give a mask of the person, or cut it out")
    return found


def _before_plain(picture: np.ndarray) -> np.ndarray:
    """The person before a background of one colour: what the background does not reach from the border."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.int16)
    colour = np.median(border, axis=0)
    near = np.abs(border - colour).max(1) <= _PLAIN_LEVELS
    # The person may touch the lower border.
    upper = np.concatenate([picture[0], picture[: len(picture) // 2, 0], picture[: len(picture) // 2, -1]])
    plain_above = (np.abs(upper.astype(np.int16) - colour).max(1) <= _PLAIN_LEVELS).mean() >= _PLAIN_SHARE
    if not plain_above or near.mean() < _PLAIN_SHARE - 0.25:
        raise ValueError(
            "the picture has no transparency and its background is not of one colour; give a PNG with the person cut "
            "out, or a mask of the person"
        )
    like = (np.abs(picture.astype(np.int16) - colour.astype(np.int16)).max(2) <= _APART_LEVELS).astype(np.uint8)
    count, regions = cv2.connectedComponents(like, connectivity=4)
    at_border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    background = np.zeros(count, bool)
    background[at_border] = True
    background[0] = False
    found = ~background[regions]
    parts, labels, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    if parts <= 1:
        return found
    return labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]} px"
