"""Depth without a unit, on one scale for the whole clip."""

from __future__ import annotations

import numpy as np

from workflow.raster import Spool
from workflow.stages.surface import Surface

_NEAREST = 2.0**-10  # depth of the nearest pixel of a clip; the farthest has 1. 0 says that there is none


class RelativeDepth:
    """Collects raw depth, larger is farther, and brings it to the range of the clip at the end.

    Raw values lie in a temporary file, so that memory does not grow with the clip.
    """

    def __init__(self, height: int, width: int) -> None:
        self._raw = Spool(codec_name="npy.zst", dtype="float32", frame_shape=(height, width), label="raw depth")
        self._masks = Spool(codec_name="npy.zst", dtype="bool", frame_shape=(height, width), label="depth mask")
        self._low, self._high = np.inf, -np.inf

    def append(self, depth: np.ndarray, mask: np.ndarray, sure: np.ndarray) -> None:
        """Add a frame.

        Args:
            depth: Shape (H, W), float32.
            mask: Shape (H, W), bool: where depth is kept.
            sure: Shape (H, W), bool: the pixels that decide the range; what is beyond it is cut off.
        """
        if sure.any():
            self._low = min(self._low, float(depth[sure].min()))
            self._high = max(self._high, float(depth[sure].max()))
        self._raw.append(np.where(mask, depth, 0).astype(np.float32))
        self._masks.append(mask)

    def finish(self) -> Spool:
        """Depth of all frames as `Surface` keeps it."""
        out = Surface.spool("depth")
        span = self._high - self._low
        for depth, mask in zip(self._raw.finish(), self._masks.finish()):
            share = np.clip((depth - self._low) / span, 0, 1) if span > 0 else np.zeros_like(depth)
            out.append(np.where(mask, _NEAREST + (1 - _NEAREST) * share, 0).astype(np.float16))
        return out.finish()
