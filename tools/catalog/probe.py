"""What a video file holds, asked of FFmpeg itself.

One route for every machine: the facts come from the header that `ffmpeg -i` prints and from the first picture that
comes out of the decoder, upright, so that they are true for the very program that will decode the clip.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools import decoder

_STREAM = re.compile(r"^\s*Stream #0:\d+.*?: (Video|Audio|Subtitle|Data|Attachment): (.*)$", re.MULTILINE)
_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")
_RATE = re.compile(r"([\d.]+)(k?) (?:fps|tbr)")
_ROTATION = re.compile(r"display ?matrix: rotation of (-?[\d.]+) degrees", re.IGNORECASE)
_ALPHA_MODE = re.compile(r"alpha_mode\s*: 1", re.IGNORECASE)
_PICTURE = re.compile(r" n:\s*\d+ pts:.* fmt:(\S+) .*?sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\S)")
_COLOUR = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
_FIELDS = re.compile(r"(?:top|bottom) (?:coded )?first")
_ALPHA_FORMAT = re.compile(r"^(?:yuva|gbrap|rgba|bgra|argb|abgr|ya\d|pal8|ayuv|vuya)")
_PROBE_TIMEOUT_S = 120


class Unreadable(Exception):
    """The file holds no video that can be decoded; the message says why, for the catalog."""


@dataclass(frozen=True)
class Facts:
    """Facts of a video stream.

    Attributes:
        codec: Codec and pixel format, FFmpeg's names.
        width: px, upright, square pixels.
        height: px, upright.
        rotation: Degrees clockwise by which the stored picture is turned.
        rate: Frames per second as the header says, rounded to two digits; 0 where it does not.
        duration_s: As the header says; 0 where it does not.
        interlaced: Whether frames consist of two fields.
        alpha: Whether the picture has transparency.
        range: "tv" or "pc".
        matrix: Colour matrix, or "unknown".
        primaries: Colour primaries, or "unknown".
        transfer: Transfer function, or "unknown".
    """

    codec: str
    width: int
    height: int
    rotation: float
    rate: float
    duration_s: float
    interlaced: bool
    alpha: bool
    range: str
    matrix: str
    primaries: str
    transfer: str


def probe(path: Path) -> Facts:
    """Look at a file.

    Raises:
        Unreadable: It is empty, is no video, has only sound, or none of its pictures decodes.
    """
    if path.stat().st_size == 0:
        raise Unreadable("the file is empty")
    command = [
        *(decoder.binary(), "-hide_banner", "-nostdin", "-nostats", "-i", decoder.url(path)),
        *("-map", "0:V:0", "-frames:v", "1", "-vf", "showinfo=checksum=0", "-f", "null", "-"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"no picture decoded within {_PROBE_TIMEOUT_S} s") from error
    if done.returncode < 0:
        raise Unreadable(f"FFmpeg crashes on it (signal {-done.returncode})")
    return parse(done.stderr.decode("utf-8", "replace"))


def parse(report: str) -> Facts:
    """Facts in what FFmpeg printed with the filter `showinfo`.

    Raises:
        Unreadable: There is no picture in it.
    """
    header, _, _ = report.partition("Stream mapping:")
    streams = _STREAM.findall(header)
    pictures = [text for kind, text in streams if kind == "Video" and "(attached pic)" not in text]
    if not streams:
        raise Unreadable("not a video: " + _last_complaint(report))
    if not pictures:
        others = sorted({"a still picture" if kind == "Video" else kind.lower() for kind, _ in streams})
        raise Unreadable("no video stream, only " + " and ".join(others))
    shown = _PICTURE.search(report)
    if shown is None:
        raise Unreadable("no picture decodes: " + _last_complaint(report))
    form, sar_width, sar_height, width, height, field = shown.groups()
    aspect = int(sar_width) / int(sar_height) if int(sar_width) and int(sar_height) else 1.0
    colour = _COLOUR.search(report, shown.end())
    names = [name.strip() for name in colour.groups()] if colour else ["unknown"] * 4
    turned = _ROTATION.search(header)
    rate = _RATE.search(pictures[0])
    duration = _DURATION.search(header)
    hours, minutes, seconds = map(float, duration.groups()) if duration else (0.0, 0.0, 0.0)
    return Facts(
        codec=f"{pictures[0].split(' ', 1)[0].rstrip(',')} {form}",
        width=max(1, round(int(width) * aspect)),
        height=int(height),
        rotation=-float(turned[1]) % 360 if turned else 0.0,
        rate=float(rate[1]) * (1000 if rate[2] else 1) if rate else 0.0,
        duration_s=hours * 3600 + minutes * 60 + seconds,
        interlaced=field in "TB" or _FIELDS.search(pictures[0]) is not None,
        alpha=_ALPHA_FORMAT.match(form) is not None or _ALPHA_MODE.search(header) is not None,
        range="pc" if names[0] == "pc" or form.startswith("yuvj") else "tv",
        matrix=names[1],
        primaries=names[2],
        transfer=names[3],
    )


def _last_complaint(report: str) -> str:
    """The line that says most about why FFmpeg gave up, without the file's name."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    for sought in ("moov atom not found", "Invalid data found", "Could not find codec", "Decoder not found", "rror"):
        for line in lines:
            if sought in line:
                text = re.sub(r"^\[[^\]]*\]\s*", "", line)
                return re.sub(r"file:.*?: ", "", text).rstrip(".")
    return "unknown format"
