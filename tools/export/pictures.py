"""Pictures and masks of an export at the size of the source, with one camera matrix for all frames."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

import cv2
import numpy as np

from tools.nvr.clip import BodyOfClip
from workflow.errors import ToolError
from workflow.images import encode_jpg
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing
from workflow.store import Reader


@dataclass(frozen=True)
class Pictures:
    """Pictures of a clip.

    Attributes:
        origin: "frames": the stored frames, byte for byte; "crop": crops of the shard put back.
        height: px.
        width: px.
        K: Shape (3, 3), float32, px.
        jpeg: Frame to a whole JPEG file.
        labels: Frame to (H, W) uint8, the 20 classes.
        matte: Frame to (H, W) uint8.
        keypoints: Frame to (133, 3): x, y in px, confidence; None where nobody is seen.
    """

    origin: str
    height: int
    width: int
    K: np.ndarray
    jpeg: Callable[[int], bytes]
    labels: Callable[[int], np.ndarray]
    matte: Callable[[int], np.ndarray]
    keypoints: Callable[[int], Optional[np.ndarray]]


@contextlib.contextmanager
def open_pictures(body: BodyOfClip, work: Path, origin: str) -> Iterator[Pictures]:
    """Pictures of a clip.

    Args:
        body: The clip.
        work: Folder of the shard's artifacts.
        origin: "frames", "crop", or "auto" for frames where the artifacts are there.

    Raises:
        ToolError: The artifacts are wanted and missing, or are of another run than the shard.
    """
    needed = [work / f"{kind.name}.zip" for kind in (Frames, Keypoints, Body, Parsing)]
    missing = [str(path) for path in needed if not path.exists()]
    if origin == "frames" and missing:
        raise ToolError(f"no {', '.join(missing)}; use --pictures crop, or run the stages that write them")
    if origin == "crop" or missing:
        yield _from_crop(body)
        return
    with contextlib.ExitStack() as stack:
        frames, keypoints, fitted, parsing = (
            stack.enter_context(Reader(path, kind)).read(body.clip.id)
            for path, kind in zip(needed, (Frames, Keypoints, Body, Parsing))
        )
        same = len(fitted.transl) == body.length and np.array_equal(fitted.transl.astype(np.float64), body.transl)
        if not same:
            raise ToolError(
                f"{work}: the artifacts are not those that {body.shard.path} was made of; rerun, or use --pictures crop"
            )
        height, width = frames.rgb.frame_shape[:2]

        def seen(frame: int) -> Optional[np.ndarray]:
            if not keypoints.valid[frame]:
                return None
            return np.concatenate([keypoints.xy[frame], keypoints.confidence[frame][:, None]], axis=1)

        yield Pictures(
            "frames",
            height,
            width,
            fitted.intrinsics,
            frames.rgb.encoded,
            parsing.labels.frame,
            parsing.matte.frame,
            seen,
        )


def _from_crop(body: BodyOfClip) -> Pictures:
    shard, clip = body.shard, body.clip
    row = next(entry for entry in shard.attributes["clips"] if entry["id"] == clip.id)
    height, width = row["source_height"], row["source_width"]
    stages = shard.array("layer_valid").read(clip.start, clip.start + clip.length)

    def layer(frame: int, name: str) -> np.ndarray:
        return shard.read_window(clip, frame, 1, (name,))[name][0]

    def back(frame: int, picture: np.ndarray, interpolation: int) -> np.ndarray:
        """Put a crop back into the source frame; black outside of it."""
        flags = interpolation | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(picture, body.crop_from_source[frame], (width, height), flags=flags)

    def keypoints(frame: int) -> Optional[np.ndarray]:
        if not stages[frame, 0]:
            return None
        found = layer(frame, "keypoints").astype(np.float64)
        at = (
            np.concatenate([found[:, :2], np.ones((len(found), 1))], axis=1)
            @ np.linalg.inv(body.crop_from_source[frame]).T
        )
        return np.concatenate([at[:, :2] / at[:, 2:], found[:, 2:]], axis=1)

    return Pictures(
        "crop",
        height,
        width,
        shard.read_clip(clip, ["source_intrinsics"])["source_intrinsics"],
        lambda frame: encode_jpg(back(frame, layer(frame, "rgb"), cv2.INTER_LINEAR)),
        lambda frame: back(frame, layer(frame, "parsing"), cv2.INTER_NEAREST),
        lambda frame: back(frame, layer(frame, "matte"), cv2.INTER_LINEAR),
        keypoints,
    )
