"""Pictures as data URIs, so that a page is one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

_METHOD = 4  # effort of the encoder, 0 to 6


def webp(picture: np.ndarray, quality: int = 75) -> str:
    """Data URI of a picture.

    Args:
        picture: (H, W, 3) uint8, RGB.
        quality: 1 to 100.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, method=_METHOD)
    return _uri(buffer)


def animated_webp(pictures: Sequence[np.ndarray], milliseconds: int, quality: int = 55) -> str:
    """Data URI of an endless animation.

    Args:
        pictures: At least one, each (H, W, 3) uint8, RGB.
        milliseconds: How long each is shown.
        quality: 1 to 100.
    """
    first, *others = (Image.fromarray(picture) for picture in pictures)
    buffer = io.BytesIO()
    first.save(
        buffer, "WEBP", save_all=True, append_images=others, duration=milliseconds, loop=0, quality=quality,
        method=_METHOD,
    )  # fmt: skip
    return _uri(buffer)


def _uri(buffer: io.BytesIO) -> str:
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
