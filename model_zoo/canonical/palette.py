"""Labels of human parsing as colours: the PASCAL VOC palette that SCHP writes."""

from __future__ import annotations

import numpy as np
from numba import njit

NUM_LABELS = 20  # classes of CIHP as SCHP orders them
_NO_COLOUR = 0x80  # marks a channel value that no label has


def voc_palette(count: int = 256) -> np.ndarray:
    """Colours of the labels: bit b of a label sets bit 7 - b//3 of channel b % 3.

    Returns:
        Shape (count, 3), uint8, RGB.
    """
    labels = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (((labels >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return colours


def labels_of_palette(colours: np.ndarray, count: int = NUM_LABELS) -> np.ndarray:
    """Label of every entry of an indexed picture's palette.

    Args:
        colours: Shape (N, 3), uint8, RGB; N at most 256.
        count: Labels there are; any other colour is label 0.

    Returns:
        Shape (256,), uint8.
    """
    table = np.zeros(256, np.uint8)
    same = (np.asarray(colours)[:, None, :] == voc_palette(count)[None]).all(-1)
    table[: len(same)] = np.where(same.any(1), same.argmax(1), 0)
    return table


def labels_of_colours(picture: np.ndarray, count: int = NUM_LABELS) -> np.ndarray:
    """Label of every pixel; a colour that is not in the palette is label 0.

    Args:
        picture: Shape (H, W, 3) or (H, W, 4), uint8, RGB or RGBA.
        count: Labels there are.

    Returns:
        Shape (H, W), uint8.
    """
    labels = np.empty(picture.shape[:2], np.uint8)
    _look_up(picture, *_TABLES, count, labels)
    return labels


def _channel_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each channel the bits of the label that a value stands for, or `_NO_COLOUR`."""
    tables = []
    for channel in range(3):
        table = np.full(256, _NO_COLOUR, np.uint8)
        for code in range(8):  # bits `channel`, `channel` + 3 and `channel` + 6 of the label
            value = label = 0
            for place in range(3):
                bit = (code >> place) & 1
                value |= bit << (7 - place)
                label |= bit << (channel + 3 * place)
            if label < 0x80:
                table[value] = label
        tables.append(table)
    return tables[0], tables[1], tables[2]


_TABLES = _channel_tables()


@njit(cache=True, nogil=True)
def _look_up(picture, red, green, blue, count, labels):
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            label = red[picture[y, x, 0]] | green[picture[y, x, 1]] | blue[picture[y, x, 2]]
            labels[y, x] = label if label < count else 0
