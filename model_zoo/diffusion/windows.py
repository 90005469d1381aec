"""Windows of frames that together cover a video longer than what a network sees at once."""

from __future__ import annotations

OVERLAP = 4  # frames, of windows of 24 (menyifang/MIMO's "uniform" context scheduler)
_OVERLAP_SHARE = 4  # of shorter windows: a quarter


def windows(length: int, size: int) -> list[range]:
    """Windows of `size` frames that cover a video and overlap by a quarter, at most 4; the last one ends at its end.

    Args:
        length: Frames of the video.
        size: Frames of a window.
    """
    if length <= size:
        return [range(length)]
    stride = max(1, size - min(OVERLAP, max(1, size // _OVERLAP_SHARE)))
    starts = [*range(0, length - size, stride), length - size]
    return [range(start, start + size) for start in starts]
