"""Pictures and presentation times of a video, streamed from FFmpeg."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import threading
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import ffmpeg
import imageio_ffmpeg
import numpy as np

from workflow.errors import ToolError

TICKS_PER_SECOND = 1_000_000  # presentation times are counted in microseconds, whatever the container counts in
QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error")

OLDEST = (5, 1)  # of the system's ffmpeg: the first with -fps_mode

_VERSION = re.compile(r"ffmpeg version n?(\d+)\.(\d+)")
_KEPT_LINES = 20
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
_PIPE_BYTES = 1 << 20  # the most an unprivileged process may ask for

Filter = Callable[[Any], Any]


@functools.cache
def binary() -> str:
    """The system's ffmpeg, or the one in the imageio-ffmpeg wheel where there is none.

    Raises:
        ToolError: There is neither, or the system's is too old.
    """
    found = shutil.which("ffmpeg")
    if not found:
        try:
            return str(imageio_ffmpeg.get_ffmpeg_exe())
        except RuntimeError as error:
            raise ToolError("no ffmpeg: install Debian's ffmpeg package or the imageio-ffmpeg wheel") from error
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stdout
    version = _VERSION.match(told)
    if version and tuple(map(int, version.groups())) < OLDEST:
        raise ToolError(
            f"{found} is FFmpeg {version[1]}.{version[2]}, older than {OLDEST[0]}.{OLDEST[1]}; update it, or take it "
            "off PATH so that the one of the imageio-ffmpeg wheel is used"
        )
    return found


@functools.cache
def filters() -> frozenset[str]:
    """Names of the filters this ffmpeg has."""
    listing = subprocess.run([binary(), "-hide_banner", "-filters"], capture_output=True, text=True, check=False)
    words = [line.split() for line in listing.stdout.splitlines()]
    return frozenset(line[1] for line in words if len(line) > 2 and "->" in line[2])


def url(path: Path) -> str:
    """How FFmpeg is told of a local file, whatever characters its name has."""
    return f"file:{path}"


class Decoding:
    """One run of FFmpeg over one video: iterate for pictures, then ask for times and complaints.

    Pictures travel as PPM, whose headers carry the size, so that a picture can never be read shifted. The times of
    the selected source frames travel on a pipe of their own (muxer `framecrc`), taken before any change of rate.
    """

    def __init__(
        self,
        path: Path,
        *,
        select: Optional[Filter] = None,
        picture: Filter,
        seek_s: Optional[float] = None,
        decoder: str = "",
        threads: int = 0,
    ) -> None:
        """Prepare a run; nothing starts before the first picture is asked for.

        Args:
            path: The video.
            select: Filter chain (ffmpeg-python stream to stream) that picks source frames; all where None.
            picture: Filter chain that turns a source frame into what is wanted.
            seek_s: Time in the file's own count from which frames are needed at all; reached through a key frame.
            decoder: Decoder to use in place of FFmpeg's choice.
            threads: Threads of the decoder; 0 for as many as there are processors.
        """
        options: dict[str, Any] = {"threads": threads}
        if decoder:
            options["c:v"] = decoder
        if seek_s is not None:
            options.update(seek_timestamp=1, ss=f"{seek_s:.6f}")
        source = ffmpeg.input(url(path), **options)["V:0"]
        branches = (source if select is None else select(source)).filter_multi_output("split")
        self._graph = (picture(branches[0]), branches[1])
        self.path = path
        self.times_us = array("q")  # of the source frames, in order
        self.complaints: deque[str] = deque(maxlen=_KEPT_LINES)
        self.returncode: Optional[int] = None

    def _command(self, times_fd: int) -> list[str]:
        keep = {"fps_mode": "passthrough", "enc_time_base": f"1:{TICKS_PER_SECOND}"}
        pictures = self._graph[0].output("pipe:1", f="image2pipe", **{"c:v": "ppm", "pix_fmt": "rgb24"}, **keep)
        times = self._graph[1].output(f"pipe:{times_fd}", f="framecrc", **{"c:v": "wrapped_avframe"}, **keep)
        joined = ffmpeg.merge_outputs(pictures, times).global_args(*QUIET, "-copyts")
        return [str(word) for word in joined.compile(cmd=binary())]

    def failure(self) -> ToolError:
        """What to raise when no picture came out although the video has some."""
        said = "\n".join(f"  {line}" for line in self.complaints)
        return ToolError(
            f"{binary()} ended with exit code {self.returncode} and gave no picture of {self.path}:\n{said}\n"
            f"install FFmpeg {OLDEST[0]}.{OLDEST[1]} or later, or take it off PATH so that the one of the "
            "imageio-ffmpeg wheel is used"
        )

    def _read_times(self, fd: int) -> None:
        with os.fdopen(fd, "r", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if not line.startswith("#"):
                    self.times_us.append(int(line.split(",")[2]))

    def _read_complaints(self, stream: Any) -> None:
        for line in stream:
            text = line.decode("utf-8", "replace").rstrip()
            self.complaints.append(_ADDRESS.sub("", text))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Pictures (H, W, 3) uint8 RGB in order of presentation; the buffer is reused for the next one."""
        read_fd, write_fd = os.pipe()
        process = subprocess.Popen(
            self._command(write_fd),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(write_fd,),
            bufsize=1 << 16,
        )
        os.close(write_fd)
        assert process.stdout is not None
        assert process.stderr is not None
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        readers = [
            threading.Thread(target=self._read_times, args=(read_fd,), daemon=True),
            threading.Thread(target=self._read_complaints, args=(process.stderr,), daemon=True),
        ]
        for reader in readers:
            reader.start()
        left_early = True
        try:
            yield from _pictures(process.stdout)
            left_early = False
        finally:
            process.stdout.close()
            if left_early:
                process.terminate()
            self.returncode = process.wait()
            for reader in readers:
                reader.join()
            process.stderr.close()
            if self.returncode < 0 and not left_early:
                self.complaints.append(f"FFmpeg crashed (signal {-self.returncode})")


def _pictures(stream: Any) -> Iterator[np.ndarray]:
    """Binary PPM images of a stream, up to its end or to the first one that is cut off."""
    picture = np.empty((0, 0, 3), np.uint8)
    while stream.readline() == b"P6\n":
        width, height = map(int, stream.readline().split())
        stream.readline()  # largest value, 255
        if picture.shape[:2] != (height, width):
            picture = np.empty((height, width, 3), np.uint8)
        view = picture.data.cast("B")
        filled = 0
        while filled < len(view):
            count = stream.readinto(view[filled:])
            if not count:
                return
            filled += count
        yield picture
