"""What the subject looks like on every patch of its body, learnt from the clip itself.

Two errors of a person segmentation can be told apart with it: a foreign thing in front of the body (its colour is not
the body's there) and a hole in the mask (its colour is).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

_PATCH_m = 0.06  # side of a patch on the rest body
_MIN_PIXELS = 3  # of a patch in a frame, to count as seen there
_MIN_FRAMES = 3  # in which a patch must be seen to be known
_NOTHING = 1e4  # squared distance of colours that have nothing in common
_SKIN_TONES = 4


def patches_of(vertices: np.ndarray) -> np.ndarray:
    """Patch of every vertex: cells of a grid over the rest body.

    Args:
        vertices: Shape (V, 3), m, rest pose.

    Returns:
        Shape (V,), int32, 0 to the number of patches - 1.
    """
    cell = np.floor(vertices / _PATCH_m).astype(np.int64)
    return np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)


class Gatherer:
    """Collects patch colours frame by frame.

    Args:
        count: Number of patches.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._frames: list[np.ndarray] = []

    def add(self, colours: np.ndarray, patches: np.ndarray, certain: np.ndarray) -> None:
        """Take the colours of one frame.

        Args:
            colours: Shape (H, W, 3), from `lab`.
            patches: Shape (H, W), int; patch seen by the pixel, -1 for none.
            certain: Shape (H, W), bool; pixels that surely show the subject.
        """
        chosen = certain & (patches >= 0)
        index = patches[chosen]
        pixels = np.bincount(index, minlength=self._count)
        mean = np.full((self._count, 3), np.nan, np.float32)
        seen = pixels >= _MIN_PIXELS
        for channel in range(3):
            total = np.bincount(index, weights=colours[chosen][:, channel], minlength=self._count)
            mean[seen, channel] = total[seen] / pixels[seen]
        self._frames.append(mean)

    def learn(self, skin: np.ndarray) -> Appearance:
        """Median colour of every patch over the frames.

        Args:
            skin: Shape (patches,), bool: patches of hands, arms and face.
        """
        colour = np.zeros((self._count, 3), np.float32)
        if not self._frames:
            return Appearance(colour, np.zeros(self._count, bool), np.zeros((0, 3), np.float32))
        stack = np.stack(self._frames)
        times = np.isfinite(stack[..., 0]).sum(0)
        known = times >= min(_MIN_FRAMES, len(self._frames))
        colour[known] = np.nanmedian(stack[:, known], axis=0)
        return Appearance(colour, known, _tones(colour[known & skin]))


def _tones(colours: np.ndarray) -> np.ndarray:
    """A few colours that stand for many, by k-means started along lightness (deterministic)."""
    if len(colours) <= _SKIN_TONES:
        return colours
    order = np.argsort(colours[:, 0], kind="stable")
    centres = colours[order[np.linspace(0, len(order) - 1, _SKIN_TONES).astype(int)]].copy()
    for _ in range(10):
        nearest = ((colours[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
        for k in range(_SKIN_TONES):
            if (nearest == k).any():
                centres[k] = colours[nearest == k].mean(0)
    return centres


@dataclass(frozen=True)
class Appearance:
    """Colours of the subject.

    Attributes:
        colour: Shape (P, 3), weighted CIELAB of every patch.
        known: Shape (P,), bool; false for patches hardly ever seen.
        skin: Shape (K, 3), tones of hands, arms and face, which may appear in front of any other part.
    """

    colour: np.ndarray
    known: np.ndarray
    skin: np.ndarray

    def distance(self, colours: np.ndarray, patches: np.ndarray, reach_px: int) -> np.ndarray:
        """How far every pixel is from any colour the body has about there.

        Args:
            colours: Shape (H, W, 3), from `lab`.
            patches: Shape (H, W), int; patch of the nearest body pixel, -1 where there is no body at all.
            reach_px: Error of the fitted body that is allowed for.

        Returns:
            Shape (H, W), float32, CIELAB units; 0 where nothing is known.
        """
        full = patches.shape
        half = (slice(None, None, 2), slice(None, None, 2))  # the neighbourhood is wide: half the pixels will do
        colours = np.ascontiguousarray(cv2.blur(colours, (2, 2))[half])
        patches = patches[half]
        reach_px = max(reach_px // 2, 1)
        known = (patches >= 0) & self.known[patches]
        reach = np.arange(-reach_px, reach_px + 1, max(reach_px // 3, 1))
        offsets = np.array([(dy, dx) for dy in reach for dx in reach if dx * dx + dy * dy <= reach_px * reach_px])
        best = nearest_squared(colours, self.colour[patches], known, offsets, self.skin)
        near_unknown = cv2.dilate((~known).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        result = np.where(near_unknown | (best > _NOTHING), 0.0, np.sqrt(best)).astype(np.float32)
        return cv2.resize(result, full[::-1], interpolation=cv2.INTER_LINEAR)


@njit(cache=True, nogil=True)
def nearest_squared(
    colours: np.ndarray, expected: np.ndarray, known: np.ndarray, offsets: np.ndarray, tones: np.ndarray
) -> np.ndarray:
    """Smallest squared distance of every pixel's colour to one expected near it, or to one of the tones.

    Args:
        colours: Shape (H, W, 3), float32.
        expected: Shape (H, W, 3), float32: the body's colour at every pixel.
        known: Shape (H, W), bool: where `expected` means something.
        offsets: Shape (N, 2), int64: rows and columns away that count as near.
        tones: Shape (K, 3), float32.

    Returns:
        Shape (H, W), float32; infinite where there is nothing to compare with.
    """
    height, width = known.shape
    best = np.full((height, width), np.inf, np.float32)
    for y in range(height):
        for x in range(width):
            lightness, a, b = colours[y, x]
            smallest = best[y, x]
            for n in range(len(offsets)):
                v, u = y + offsets[n, 0], x + offsets[n, 1]
                if 0 <= v < height and 0 <= u < width and known[v, u]:
                    dl, da, db = lightness - expected[v, u, 0], a - expected[v, u, 1], b - expected[v, u, 2]
                    smallest = min(smallest, dl * dl + da * da + db * db)
            for k in range(len(tones)):
                dl, da, db = lightness - tones[k, 0], a - tones[k, 1], b - tones[k, 2]
                smallest = min(smallest, dl * dl + da * da + db * db)
            best[y, x] = smallest
    return best
