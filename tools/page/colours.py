"""Colours that mean something, and how they are laid over a picture."""

from __future__ import annotations

import cv2
import numpy as np

from workflow.conventions import SCENE_FROM_OTHER_FRAME, SCENE_INPAINTED, VOC_PALETTE

Colour = tuple[int, int, int]

# Okabe & Ito's palette, which people with colour vision deficiencies tell apart.
HUMAN: Colour = (86, 180, 233)
OCCLUDER: Colour = (230, 159, 0)
SCENE: Colour = (0, 130, 96)
ORIGIN: dict[int, Colour] = {SCENE_FROM_OTHER_FRAME: (86, 180, 233), SCENE_INPAINTED: (213, 94, 0)}
DIFFERS: Colour = (255, 0, 200)

_PARTS = np.array(VOC_PALETTE[:20], np.uint8)
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601
_DEPTH_MAP = cv2.COLORMAP_VIRIDIS


def css(colour: Colour) -> str:
    """Hexadecimal notation."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def part(label: int) -> Colour:
    """Colour of a body part's label."""
    red, green, blue = (int(channel) for channel in _PARTS[label])
    return red, green, blue


def grey(picture: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """A picture without colour, times `gain`; (H, W, 3) uint8."""
    return np.repeat((picture @ (_LUMA * gain))[..., None].clip(0, 255), 3, axis=2).astype(np.uint8)


def tint(picture: np.ndarray, mask: np.ndarray, colour: Colour | np.ndarray, strength: float) -> None:
    """Mix a colour into the masked part of a picture, in place.

    Args:
        picture: (H, W, 3) uint8.
        mask: (H, W) bool.
        colour: One colour, or one for every masked pixel, (n, 3).
        strength: 0 leaves the picture, 1 gives the colour.
    """
    mixed = picture[mask].astype(np.float32) * (1 - strength) + np.asarray(colour, np.float32) * strength
    picture[mask] = np.rint(mixed).astype(np.uint8)


def outline(picture: np.ndarray, mask: np.ndarray, colour: Colour, thickness: int) -> None:
    """Draw the border of a mask into a picture, in place."""
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, thickness, cv2.LINE_AA)


def parts(labels: np.ndarray) -> np.ndarray:
    """Colours of body part labels, (..., 3) uint8."""
    return _PARTS[labels]


def normals(normal: np.ndarray) -> np.ndarray:
    """Usual coding of normals: red to the right, green up, blue towards the camera.

    Args:
        normal: (..., 3) int8, 1/127, camera axes: x right, y down, z away from the camera.

    Returns:
        (..., 3) uint8.
    """
    facing = normal.astype(np.int16) * np.array((1, -1, -1), np.int16)
    return (facing + 128).clip(0, 255).astype(np.uint8)


def depth(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Viridis from yellow (near, `low`) to violet (far, `high`); (n,) to (n, 3) uint8."""
    share = (high - values.astype(np.float32)) / max(high - low, 1e-6)
    levels = np.rint(share.clip(0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(levels.reshape(-1, 1), _DEPTH_MAP).reshape(-1, 3)[:, ::-1]


def checkerboard(height: int, width: int, square: int) -> np.ndarray:
    """(H, W, 3) uint8: the ground a cut-out lies on."""
    y, x = np.mgrid[:height, :width] // square
    return np.repeat(np.where((x + y) % 2, 205, 245)[..., None], 3, axis=2).astype(np.uint8)
