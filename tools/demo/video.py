"""Write H.264 videos with the same bytes every time."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tools import decoder
from workflow.errors import ToolError
from workflow.store import replacing

_CRF = 16
_LINES_TOLD = 20


def write(frames: Iterable[np.ndarray], height: int, width: int, fps: float, path: Path, crf: int = _CRF) -> None:
    """Encode frames as they come; the file appears when it is whole.

    Args:
        frames: (H, W, 3) uint8, sRGB.
        height: H, even.
        width: W, even.
        fps: Frames per second.
        path: The mp4 to write.
        crf: Constant rate factor of H.264: smaller is better.

    Raises:
        ToolError: ffmpeg failed.
    """
    with replacing(path) as partial, tempfile.TemporaryFile() as told:
        command = [
            decoder.binary(), "-hide_banner", "-loglevel", "error", "-y",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-",
            "-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int+bitexact",
            "-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p", "-threads", "1",
            "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
            "-flags", "+bitexact", "-fflags", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart",
            "-f", "mp4", decoder.url(partial),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told)
        assert process.stdin is not None
        try:
            for frame in frames:
                process.stdin.write(np.ascontiguousarray(frame))
        except BrokenPipeError:
            pass  # it ended early; its exit code and last words say why
        except BaseException:
            process.kill()  # whoever makes the frames failed, so what is written is not whole
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
        if process.returncode:
            told.seek(0)
            words = "\n".join(told.read().decode(errors="replace").splitlines()[-_LINES_TOLD:])
            raise ToolError(f"demo: ffmpeg ended with {process.returncode}: {' '.join(command)}\n{words}")
