"""Frames by FFmpeg: the exact span of a clip, upright, square pixels, standard dynamic range, 8-bit RGB.

What happens to unusual footage:

- Rotation and mirroring in the file's metadata are applied. Pixels that are not square are made square.
- Interlaced frames are deinterlaced (bwdif), one frame for each frame.
- HDR (PQ and HLG) is tone-mapped to BT.709 (zscale and Hable's curve, 100 cd/m2 as white). An ffmpeg without those
  filters gives the plain conversion, which looks pale; the figure `tone_mapped` is 0 then and the log says so.
- Other footage of more than 8 bits is rounded to 8. Wide gamut without HDR keeps its coded values.
- Where the file names no colour matrix: BT.709 above 576 lines or 1024 columns, else BT.601.
- Transparency is composited over black.
"""

from __future__ import annotations

import functools
import logging
import subprocess
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tools import decoder
from workflow.catalog import Clip
from workflow.errors import Rejected
from workflow.images import jpeg_encoder
from workflow.raster import Spool
from workflow.stages.frames import FfmpegParams, Frames

logger = logging.getLogger(__name__)

# The decoder starts at a key frame at least this long before the clip, and the frames are then chosen by their times.
# Containers without an index (MPEG-TS) may land after that key frame; then the next margin is tried, and last the
# frames are counted from the file's start.
SEEK_MARGINS_S = (1.0, 15.0)
SEEK_FROM_FRAME = 100  # a clip that begins earlier is reached by decoding from the file's start
_HALF_TICK_US = 40  # times are known to a microsecond; no video has two frames within this

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")  # PQ and HLG, SMPTE ST 2084 and ARIB STD-B67
_HDR_WHITE_CD_M2 = 100
_SWSCALE_MATRIX = {
    "bt709": "bt709",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "fcc": "fcc",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}
_RGB_FORMATS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2rgb", "x2bgr")
_SCALER = "bicubic+accurate_rnd+full_chroma_int"
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own drop the transparency of WebM


def load(params: FfmpegParams, files: Mapping[str, Path]) -> Callable[[Clip, Path], Frames]:
    """Return the decoder of clips.

    Args:
        params: Settings.
        files: Not used.
    """
    encode = jpeg_encoder(params.jpeg_quality)

    def work(clip: Clip, path: Path) -> Frames:
        """Decode one clip.

        Args:
            clip: Row of the shard's manifest.
            path: File that holds the clip's video.

        Raises:
            Rejected: Fewer than `min_frames` frames come out.
            ToolError: FFmpeg cannot do what it is asked for.
        """
        for seek_s in _ways(clip):
            decoding, rgb = _decode(clip, path, params, encode, seek_s)
            if _is_whole(clip, decoding):
                break
            logger.info("frames: %s: not the catalogued times when sought at %s s", clip.id, seek_s)
        if not len(rgb):
            _explain_nothing(clip, decoding)
        if len(rgb) < params.min_frames:
            raise Rejected(f"too short: {len(rgb)} frames decode, {params.min_frames} are needed")
        share = min(1.0, len(decoding.times_us) / clip.frames)
        if share < 1:
            logger.warning("frames: %s: %.0f %% of the frames decode", clip.id, 100 * share)
        quality = {"decoded_share": share}
        if clip.transfer in HDR_TRANSFERS:
            quality["tone_mapped"] = float(_can_tone_map())
        return Frames(
            rgb=rgb,
            timestamps=_timestamps(np.array(decoding.times_us, np.int64), len(rgb), clip, params.fps),
            fps=params.fps or float(Fraction(clip.fps)),
            quality=quality,
        )

    return work


def _ways(clip: Clip) -> list[float | None]:
    """Times to start decoding at, the fastest way first; None counts frames from the file's start."""
    if clip.first_us is None or clip.start < SEEK_FROM_FRAME:
        return [None]
    return [*(clip.first_us / decoder.TICKS_PER_SECOND - margin for margin in SEEK_MARGINS_S), None]


def _decode(
    clip: Clip, path: Path, params: FfmpegParams, encode: Callable[[np.ndarray], bytes], seek_s: float | None
) -> tuple[decoder.Decoding, Spool]:
    """Run FFmpeg once.

    Args:
        clip: Which frames.
        path: The video.
        params: Settings.
        encode: JPEG encoder.
        seek_s: Where to start; frames are then chosen by their times. None to count frames from the file's start.
    """
    decoding = decoder.Decoding(
        path,
        select=functools.partial(_select, clip, seek_s is not None),
        picture=functools.partial(_picture, clip, params),
        seek_s=seek_s,
        decoder=_ALPHA_DECODERS.get(clip.codec.split(" ")[0], "") if clip.alpha else "",
        threads=1,
    )
    spool = Frames.spool("rgb", encode=encode)
    for picture in decoding:
        spool.append(picture)
    return decoding, spool


def _select(clip: Clip, by_time: bool, stream: Any) -> Any:
    if not by_time or clip.first_us is None or clip.last_us is None:
        return stream.filter("trim", start_frame=clip.start, end_frame=clip.end)
    start, end = (us / decoder.TICKS_PER_SECOND for us in (clip.first_us - _HALF_TICK_US, clip.last_us + _HALF_TICK_US))
    # `select` compares exactly; `trim` rounds to the container's ticks, and is there to end the run in good time
    stop = end + max(0.1, 1.5 / float(Fraction(clip.fps)))
    return stream.filter("trim", end=f"{stop:.6f}").filter("select", f"between(t,{start:.6f},{end:.6f})")


def output_size(clip: Clip, max_side: int | None) -> tuple[int, int]:
    """Width and height of a clip's frames, px.

    Args:
        clip: Row of the manifest.
        max_side: Longest side allowed; None for the source's size.
    """
    shrink = min(1.0, max_side / max(clip.width, clip.height)) if max_side else 1.0
    return max(1, round(clip.width * shrink)), max(1, round(clip.height * shrink))


def _picture(clip: Clip, params: FfmpegParams, stream: Any) -> Any:
    """Filters from a source frame to an upright RGB picture of the size wanted."""
    if clip.interlaced:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    if params.fps is not None:
        stream = stream.filter("setpts", "PTS-STARTPTS").filter("fps", fps=repr(params.fps), round="near")
    width, height = output_size(clip, params.max_side)
    if clip.transfer in HDR_TRANSFERS and _can_tone_map():
        return _tone_mapped(clip, stream, width, height)
    if not clip.alpha:
        return stream.filter("scale", width, height, flags=_SCALER, **_colour(clip)).filter("format", "rgb24")
    straight = stream.filter("scale", flags=_SCALER, **_colour(clip)).filter("format", "gbrap")
    return straight.filter("premultiply", inplace=1).filter("scale", width, height, flags=_SCALER)


def _colour(clip: Clip) -> dict[str, str]:
    """Matrix and range the scaler is to assume."""
    if clip.matrix == "gbr" or clip.codec.split(" ")[-1].startswith(_RGB_FORMATS):
        return {}
    high = clip.height > 576 or clip.width > 1024
    matrix = _SWSCALE_MATRIX.get(clip.matrix, "bt709" if high else "bt601")
    return {"in_color_matrix": matrix, "in_range": clip.range, "out_range": "pc"}


@functools.cache
def _can_tone_map() -> bool:
    missing = {"zscale", "tonemap"} - decoder.filters()
    if missing:
        logger.warning(
            "frames: %s has no %s; HDR is converted plainly", decoder.binary(), " and ".join(sorted(missing))
        )
    return not missing


def _tone_mapped(clip: Clip, stream: Any, width: int, height: int) -> Any:
    """PQ or HLG to BT.709: to linear light, to BT.709's primaries, Hable's curve, back to gamma."""
    known = {
        "tin": clip.transfer,
        "min": "bt2020nc" if clip.matrix == "unknown" else clip.matrix,
        "pin": "bt2020" if clip.primaries == "unknown" else clip.primaries,
        "rin": "full" if clip.range == "pc" else "limited",
    }
    linear = stream.filter("zscale", w=width, h=height, t="linear", npl=_HDR_WHITE_CD_M2, **known)
    mapped = linear.filter("format", "gbrpf32le").filter("zscale", p="bt709")
    mapped = mapped.filter("tonemap", tonemap="hable", desat=0)
    return mapped.filter("zscale", t="bt709", r="full").filter("format", "gbrp").filter("format", "rgb24")


def _is_whole(clip: Clip, decoding: decoder.Decoding) -> bool:
    """Whether exactly the frames of the clip came out."""
    times = decoding.times_us
    return (
        len(times) == clip.frames
        and clip.first_us is not None
        and clip.last_us is not None
        and abs(times[0] - clip.first_us) <= _HALF_TICK_US
        and abs(times[-1] - clip.last_us) <= _HALF_TICK_US
    )


def _explain_nothing(clip: Clip, decoding: decoder.Decoding) -> None:
    """Raise what fits when no picture came out: is it the video, or FFmpeg?"""
    command = [
        *(decoder.binary(), *decoder.QUIET, "-i", decoder.url(decoding.path)),
        *("-map", "0:V:0", "-frames:v", "1", "-f", "null", "-"),
    ]
    plain = subprocess.run(command, capture_output=True, check=False)
    if plain.returncode or not decoding.returncode:
        last = decoding.complaints[-1] if decoding.complaints else "the video ends before the clip begins"
        raise Rejected(f"unreadable frames: no frame of {clip.start} to {clip.end} decodes ({last})")
    raise decoding.failure()


def _timestamps(times_us: np.ndarray, count: int, clip: Clip, fps: float | None) -> np.ndarray:
    """Seconds from the clip's first frame, strictly increasing.

    Args:
        times_us: (S,) presentation times of the source frames.
        count: T, number of pictures.
        clip: Row of the manifest.
        fps: Rate asked for; None where every source frame is kept.

    Returns:
        (T,) float64.
    """
    if fps is not None:
        return np.arange(count) / fps
    seconds: np.ndarray = (times_us[:count] - times_us[0]) / decoder.TICKS_PER_SECOND
    if len(seconds) == count and (np.diff(seconds) > 0).all():
        return seconds
    return np.arange(count) / float(Fraction(clip.fps))
