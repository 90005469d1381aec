"""Every frame of a video once: its presentation time, and the cuts between shots."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from tools import decoder

SMALL_SIDE_PX = 160  # of the pictures compared; larger ones change no decision on the clips tried
# A frame is a cut where its content differs this many times more from the one before than the frames around it do:
# a panning camera, fast motion and few frames a second raise both. Tried on real clips at 1/1 to 1/25 of their rate.
RATIO = 3.5
LEAST_CHANGE = 15.0  # of 255, mean over hue, saturation and brightness: PySceneDetect's own default
_NEIGHBOURS = 2  # frames on either side that a cut is compared with
_NOMINAL_FPS = 25.0  # the detector wants time codes and uses frame numbers
_STANDARD_RATES = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)) + tuple(
    Fraction(n) for n in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
)


@dataclass(frozen=True)
class Scan:
    """What one pass over a video found.

    Attributes:
        times_us: (T,) int64, presentation time of each frame that decodes, as the file counts.
        cuts: Frames that begin a new shot, without 0.
        complaints: Last lines the decoder said; empty for an undamaged file.
    """

    times_us: np.ndarray
    cuts: tuple[int, ...]
    complaints: tuple[str, ...]


class Cuts:
    """PySceneDetect's adaptive detector, fed frame by frame; also finds a cut beside the first or last frame."""

    def __init__(self) -> None:
        self._detector = AdaptiveDetector(
            adaptive_threshold=RATIO, min_scene_len=1, window_width=_NEIGHBOURS, min_content_val=LEAST_CHANGE
        )
        self._count = 0
        self._fed = 0
        self._found: list[int] = []
        self._last: Optional[np.ndarray] = None

    def _feed(self, picture_bgr: np.ndarray) -> None:
        found = self._detector.process_frame(FrameTimecode(self._fed, _NOMINAL_FPS), picture_bgr)
        self._found.extend(code.frame_num for code in found)
        self._fed += 1

    def add(self, picture: np.ndarray) -> None:
        """Take the next frame, (H, W, 3) uint8 RGB."""
        picture_bgr = np.ascontiguousarray(picture[..., ::-1])
        if self._last is not None and self._last.shape != picture_bgr.shape:
            raise ValueError(f"picture is {picture_bgr.shape}, the ones before were {self._last.shape}")
        for _ in range(1 if self._count else 1 + _NEIGHBOURS):  # still frames before the first and after the last
            self._feed(picture_bgr)
        self._last = picture_bgr
        self._count += 1

    def finish(self) -> tuple[int, ...]:
        """Frames that begin a shot, without 0."""
        if self._last is not None:
            for _ in range(_NEIGHBOURS):
                self._feed(self._last)
        self._found.extend(
            code.frame_num for code in self._detector.post_process(FrameTimecode(self._fed, _NOMINAL_FPS))
        )
        cuts = {frame - _NEIGHBOURS for frame in self._found}
        return tuple(sorted(cut for cut in cuts if 0 < cut < self._count))


def scan(
    path: Path,
    size: tuple[int, int],
    *,
    codec: str = "",
    threads: int = 0,
    progress: Optional[Callable[[int], None]] = None,
) -> Scan:
    """Decode a whole video, small.

    Args:
        path: The video.
        size: Width and height, upright.
        codec: Decoder to use in place of FFmpeg's choice.
        threads: Threads of the decoder; 0 for as many as there are processors.
        progress: Called with the number of frames so far, after every frame.

    Raises:
        ToolError: FFmpeg cannot do what it is asked for.
    """
    shrink = min(1.0, SMALL_SIDE_PX / max(size))
    width, height = (max(2, round(side * shrink)) for side in size)

    def small(stream: Any) -> Any:
        return stream.filter("scale", width, height, flags="area")

    decoding = decoder.Decoding(path, picture=small, decoder=codec, threads=threads)
    cuts = Cuts()
    count = 0
    for picture in decoding:
        cuts.add(picture)
        count += 1
        if progress is not None:
            progress(count)
    if not count and decoding.returncode and decoding.returncode > 0:
        raise decoding.failure()
    times = np.array(decoding.times_us, np.int64)[:count]
    return Scan(times, cuts.finish(), tuple(decoding.complaints))


def increasing(times_us: np.ndarray) -> bool:
    """Whether every frame comes after the one before."""
    return bool((np.diff(times_us) > 0).all())


def rate(times_us: np.ndarray, header: float) -> tuple[Fraction, bool]:
    """Nominal frame rate.

    Args:
        times_us: (T,) presentation times.
        header: Rate the file's header says; used where the times say nothing.

    Returns:
        Frames per second, a standard rate where the times allow it; and whether the time between frames varies.
    """
    count = len(times_us) - 1
    if count < 1 or not increasing(times_us):
        stated = Fraction(header).limit_denominator(1001)
        return (stated if stated > 0 else Fraction(25)), count >= 1
    steps = np.diff(times_us)
    span_us = int(times_us[-1] - times_us[0])
    # times are rounded to the container's tick (a millisecond in Matroska) at either end
    tick_us = 1_000 if (times_us % 1_000 == 0).all() else 2
    variable = bool(np.abs(steps - span_us / count).max() > max(1.5 * tick_us, 0.02 * span_us / count))
    mean = Fraction(count * decoder.TICKS_PER_SECOND, span_us)
    slack = tick_us / span_us
    near = [known for known in _STANDARD_RATES if abs(known / mean - 1) <= slack]
    if near and not variable:
        return min(near, key=lambda known: abs(known - mean)), variable
    return mean.limit_denominator(1001), variable
