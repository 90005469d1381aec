"""Frames to an H.264 file that every player opens."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

from workflow.errors import ToolError

_CRF = 16  # visually lossless
_LINES_TOLD = 20


def write(frames: np.ndarray, fps: float, path: Path) -> None:
    """Write an mp4 (H.264, 4:2:0), by the system's ffmpeg or the one in the `imageio-ffmpeg` wheel.

    Args:
        frames: Shape (T, H, W, 3), uint8, sRGB; height and width even.
        fps: Frames per second.
        path: Where to.

    Raises:
        ToolError: ffmpeg failed.
    """
    height, width = frames.shape[1:3]
    program = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    command = [
        program, "-hide_banner", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:.6f}", "-i", "-",
        "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-c:v", "libx264", "-pix_fmt", "yuv420p",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
        "-crf", str(_CRF), "-threads", "1", "-movflags", "+faststart", "-fflags", "+bitexact", "-f", "mp4", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, input=np.ascontiguousarray(frames).tobytes(), capture_output=True, check=False)
    if done.returncode:
        told = "\n".join(done.stderr.decode(errors="replace").splitlines()[-_LINES_TOLD:])
        raise ToolError(f"mp4: ffmpeg ended with {done.returncode}: {' '.join(command)}\n{told}")


def enlarged(frames: np.ndarray, height: int) -> np.ndarray:
    """Frames (T, H, W, 3) enlarged by a whole factor to at least `height` rows; unchanged where they have them."""
    factor = -(-height // frames.shape[1])
    if factor == 1:
        return frames
    size = (frames.shape[2] * factor, frames.shape[1] * factor)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames])
