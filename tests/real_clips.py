"""Frames of the real clips, where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from workflow.stages.frames import Frames

FOLDER = Path(os.environ.get("STRATA_REAL_CLIPS", Path(__file__).parents[2] / "shared/data/real"))
FPS = 25.0
# Boxes x0, y0, x1, y1 px, drawn by hand round the subject in all of the first ten frames.
TENNIS_SUBJECT = np.array([235.0, 165, 500, 665])
JUGGLE_SUBJECT = np.array([590.0, 35, 850, 680])


def frames(name: str, chosen: Sequence[int]) -> Frames:
    """Some frames of a real clip as the artifact; skips the test where the clip is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set STRATA_REAL_CLIPS to the folder of the real clips")
    video, spool = cv2.VideoCapture(str(path)), Frames.spool("rgb")
    for index in range(max(chosen) + 1):
        ok, picture = video.read()
        assert ok
        if index in chosen:
            spool.append(np.ascontiguousarray(picture[..., ::-1]))
    video.release()
    return Frames(rgb=spool.finish(), timestamps=np.arange(len(chosen)) / FPS, fps=FPS)
