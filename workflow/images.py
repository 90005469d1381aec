"""Image codecs of rasters, by OpenCV. Colour is RGB on our side of every call."""

from __future__ import annotations

import cv2
import numpy as np

JPEG_QUALITY = 95


def jpeg_encoder(quality: int):
    """Encoder of (H, W, 3) uint8 RGB as JPEG 4:4:4 at a quality of 1 to 100."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]

    def encode(frame: np.ndarray) -> bytes:
        return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)[1].tobytes()

    return encode


encode_jpg = jpeg_encoder(JPEG_QUALITY)


def decode_jpg(data: bytes) -> np.ndarray:
    """Decode to (H, W, 3) uint8 RGB."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def encode_png(frame: np.ndarray) -> bytes:
    """Encode (H, W) bool or uint8, or (H, W, 3) uint8 RGB, without loss."""
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if frame.dtype == bool:
        frame = frame.view(np.uint8) * np.uint8(255)
    elif frame.ndim == 3:
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        settings += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]  # for pictures quicker and no larger
    return cv2.imencode(".png", frame, settings)[1].tobytes()
