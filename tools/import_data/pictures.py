"""Pictures and masks of a recording as artifacts; JPEG files are taken over byte for byte."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tools.import_data.recording import Recording
from tools.nvr.root import read_labels
from workflow.errors import ToolError
from workflow.images import jpeg_encoder
from workflow.stages.frames import Frames
from workflow.stages.parsing import Parsing

DEFAULT_FPS = 30.0  # where nobody says
_QUALITY = 98  # of pictures that must be encoded again: undistorted, or not JPEG to begin with
_MATTE_THRESHOLD = 128


def frames(recording: Recording, fps: float | None) -> Frames:
    """The pictures.

    Args:
        recording: The recording.
        fps: Frames per second; None takes the recording's own, or 30.

    Raises:
        ToolError: A picture cannot be read, or they differ in size.
    """
    whole: deque[bytes] = deque()  # the spool encodes in order, in one thread
    again = jpeg_encoder(_QUALITY)

    def encode(frame: np.ndarray) -> bytes:
        data = whole.popleft()
        return data or again(frame)

    spool = Frames.spool("rgb", encode)
    for shot in recording.shots:
        data = _bytes(shot.image)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise ToolError(f"{shot.image}: no readable image")
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        if recording.camera.D.any():
            picture = cv2.undistort(
                picture, recording.camera.K.astype(np.float64), recording.camera.D.astype(np.float64)
            )
        keep = data[:2] == b"\xff\xd8" and not recording.camera.D.any()
        if len(spool) and picture.shape != spool.frame_shape:
            raise ToolError(f"{shot.image}: is {picture.shape[1]} x {picture.shape[0]}, those before it are not")
        whole.append(data if keep else b"")
        spool.append(picture)
    rate = fps or recording.fps or DEFAULT_FPS
    first = recording.shots[0].number
    times = [(shot.number - first) / rate for shot in recording.shots]
    if recording.times is not None and fps is None:
        times = [time - recording.times[0] for time in recording.times]
    return Frames(rgb=spool.finish(), timestamps=np.array(times), fps=float(rate), quality={"decoded_share": 1.0})


def parsing(recording: Recording, size: tuple[int, int]) -> Parsing:
    """The masks; where no soft one is kept, the matte is 0 or 255.

    Args:
        recording: The recording, with masks.
        size: (H, W) of the pictures, px; masks of another size are scaled to it.
    """
    labels, mattes = Parsing.spool("labels"), Parsing.spool("matte")
    valid = np.zeros(len(recording.shots), bool)
    for t, shot in enumerate(recording.shots):
        assert shot.labels is not None
        label = _fitted(read_labels(shot.labels), recording, size)
        matte = (label > 0).astype(np.uint8) * np.uint8(255)
        if shot.matte is not None:
            with Image.open(shot.matte) as picture:
                matte = _fitted(np.asarray(picture.convert("L")), recording, size)
        labels.append(label)
        mattes.append(matte)
        valid[t] = bool((matte >= _MATTE_THRESHOLD).any())
    return Parsing(
        matte=mattes.finish(), labels=labels.finish(), valid=valid, quality={"valid_share": float(valid.mean())}
    )


def _fitted(mask: np.ndarray, recording: Recording, size: tuple[int, int]) -> np.ndarray:
    if mask.shape != size:
        mask = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)
    if recording.camera.D.any():
        matrix, distortion = recording.camera.K.astype(np.float64), recording.camera.D.astype(np.float64)
        maps = cv2.initUndistortRectifyMap(matrix, distortion, None, matrix, size[::-1], cv2.CV_32FC1)
        mask = cv2.remap(mask, *maps, cv2.INTER_NEAREST)
    return np.ascontiguousarray(mask)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from None


def first_picture(recording: Recording) -> np.ndarray:
    """Picture of the first frame, for its size.

    Raises:
        ToolError: It cannot be read.
    """
    picture = cv2.imread(str(recording.shots[0].image), cv2.IMREAD_COLOR)
    if picture is None:
        raise ToolError(f"{recording.shots[0].image}: no readable image")
    return picture
