"""Keypoints of a frame as EasyMocap's JSON: BODY25, hands and face."""

from __future__ import annotations

import numpy as np

from workflow.conventions import (
    BODY25_FROM_COCO,
    BODY25_FROM_FEET,
    BODY25_MEANS,
    FACE,
    FEET,
    LEFT_HAND,
    RIGHT_HAND,
)

NUM_FACE = 70  # iBUG's 68, then the pupils, which COCO-WholeBody has not
_BREAK = "\r\n"  # EasyMocap's, inside arrays


def body25(keypoints: np.ndarray) -> np.ndarray:
    """The 25 joints of OpenPose from COCO-WholeBody.

    Args:
        keypoints: Shape (133, 3): x, y in px, confidence.

    Returns:
        Shape (25, 3).
    """
    out = np.zeros((25, 3))
    out[list(BODY25_FROM_COCO)] = keypoints[: len(BODY25_FROM_COCO)]
    out[list(BODY25_FROM_FEET)] = keypoints[FEET]
    for joint, (first, second) in BODY25_MEANS.items():
        out[joint, :2] = (out[first, :2] + out[second, :2]) / 2
        out[joint, 2] = min(out[first, 2], out[second, 2])
    return out


def annotation(filename: str, height: int, width: int, keypoints: np.ndarray | None, box: np.ndarray | None) -> str:
    """Text of `annots/<sub>/<frame>.json`.

    Args:
        filename: Image, relative to the data root.
        height: Of the image, px.
        width: Of the image, px.
        keypoints: Shape (133, 3): x, y in px, confidence; None where nobody is seen.
        box: Shape (4,), x0, y0, x1, y1, px. No score is kept of it; it is written as 1.
    """
    people = ""
    if keypoints is not None and box is not None:
        face = np.zeros((NUM_FACE, 3))
        face[: FACE.stop - FACE.start] = keypoints[FACE]
        arrays = {
            "keypoints": body25(keypoints),
            "handl2d": keypoints[LEFT_HAND],
            "handr2d": keypoints[RIGHT_HAND],
            "face2d": face,
        }
        numbers = ", ".join(f"{value:.2f}" for value in (*box, 1.0))
        listed = ",\n".join(f'            "{name}": {_rows(rows)}' for name, rows in arrays.items())
        people = (
            '\n        {\n            "personID": 0,\n            "bbox": '
            f'[{numbers}],\n{listed},\n            "isKeyframe": false\n        }}\n    '
        )
    return (
        f'{{\n    "filename": "{filename}",\n    "height": {height},\n    "width": {width},\n'
        f'    "annots": [{people}],\n    "isKeyframe": false\n}}\n'
    )


def _rows(rows: np.ndarray) -> str:
    lines = [f"[{x:7.2f}, {y:7.2f}, {max(c, 0.0):7.2f}]" for x, y, c in rows]
    return "[" + f",{_BREAK}                ".join(lines) + "]"
