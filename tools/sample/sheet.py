"""One picture that shows what the model was told and what it made of it."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

_TILE_PX = 160  # height of a tile
_LABEL_PX = 110
_NOTE_PX = 24
_GAP_PX = 4
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_INK, _PAPER = (30, 30, 30), 255


def sheet(rows: Mapping[str, np.ndarray], moments: int, note: str) -> np.ndarray:
    """Rows of frames at the same moments, side by side.

    Args:
        rows: By label, shape (T, H, W, 3), uint8; a row of one frame is shown once.
        moments: Columns, at most.
        note: Lines above everything.

    Returns:
        Shape (height, width, 3), uint8.
    """
    length = max(len(frames) for frames in rows.values())
    index = np.unique(np.linspace(0, length - 1, moments).round().astype(int))
    strips = []
    for label, frames in rows.items():
        shown = frames if len(frames) == 1 else frames[index]
        scale = _TILE_PX / shown.shape[1]
        tiles = [
            cv2.resize(tile, (round(tile.shape[1] * scale), _TILE_PX), interpolation=cv2.INTER_CUBIC) for tile in shown
        ]
        name = np.full((_TILE_PX, _LABEL_PX, 3), _PAPER, np.uint8)
        cv2.putText(name, label, (6, _TILE_PX // 2), _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
        gap = np.full((_TILE_PX, _GAP_PX, 3), _PAPER, np.uint8)
        strips.append(np.concatenate([name, *(part for tile in tiles for part in (gap, tile))], 1))
    width = max(strip.shape[1] for strip in strips)
    lines = [_line(text, width) for text in note.splitlines()]
    for strip in strips:
        lines += [np.full((_GAP_PX, width, 3), _PAPER, np.uint8), np.pad(
            strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=_PAPER
        )]  # fmt: skip
    return np.concatenate(lines)


def _line(text: str, width: int) -> np.ndarray:
    line = np.full((_NOTE_PX, width, 3), _PAPER, np.uint8)
    cv2.putText(line, text, (6, _NOTE_PX - 8), _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
    return line
