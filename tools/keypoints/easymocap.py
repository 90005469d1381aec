"""Keypoints by EasyMocap's own `extract_keypoints --mode yolo-hrnet`, run in a checkout of it.

Its annotations hold BODY25 joints of everybody in a frame, rounded to 0.01 px; the subject is followed by overlap and
size of the boxes. Without `--gpus`, whose children outlive the program (defect S4 of the original recipe).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tools.easymocap import CLIP, Checkout, DataRoot, read_json
from tools.keypoints.assemble import assemble
from tools.keypoints.body25 import coco_from_body25
from tools.keypoints.boxes import persons
from workflow.errors import Rejected, ToolError
from workflow.stages.frames import Frames
from workflow.stages.keypoints import EasymocapParams, Keypoints

_LABEL = "keypoints/easymocap"
_SCRIPT = "apps/preprocess/extract_keypoints.py"
_NEEDED = (_SCRIPT, "data/models/yolov4.weights", "data/models/pose_hrnet_w48_384x288.pth")
_BODY25 = 25


def load(params: EasymocapParams, files: Mapping[str, Path]) -> Callable[[Frames], Keypoints]:
    """Look at the checkout and return the finder of the subject's joints."""
    checkout = Checkout.open(params.checkout, params.python, params.any_commit, params.device, _NEEDED, _LABEL)
    return lambda frames: find(checkout, frames, params)


def find(checkout: Checkout, frames: Frames, params: EasymocapParams) -> Keypoints:
    """Find the subject's joints in all frames of a clip.

    Raises:
        Rejected: Nobody is seen, or fewer people than `subject` asks for, or the subject too rarely.
        ToolError: The program failed, or some of its results are missing or of another form.
    """
    count = len(frames.rgb)
    height, width = frames.rgb.frame_shape[:2]
    with DataRoot(frames.rgb, range(count)) as root:
        checkout.run(_SCRIPT, [str(root.folder), "--mode", "yolo-hrnet", "--subs", CLIP, "--force"])
        folder = root.folder / "annots" / CLIP
        missing = [index for index in range(count) if not (folder / f"{index:06d}.json").exists()]
        if missing:
            raise ToolError(
                f"{_LABEL}: EasyMocap ended without an error, but {len(missing)} of {count} annotations are missing, "
                f"the first for frame {missing[0]}"
            )
        people = [read_annotation(folder / f"{index:06d}.json") for index in range(count)]
    found = persons([boxes for boxes, _ in people], frames.timestamps, width, height)
    if len(found) <= frames.subject:
        raise Rejected(f"person {frames.subject + 1} asked for, {len(found)} found" if found else "no person found")
    subject = found[frames.subject]
    joints, where = {}, dict(zip(subject.frames, subject.boxes))
    for index, box in where.items():
        boxes, bodies = people[index]
        joints[index] = coco_from_body25(bodies[int((boxes == box).all(1).argmax())])
    figures = {"people": float(len(found)), "prominence": subject.prominence}
    return assemble(count, joints, where, (height, width), params.min_valid_share, figures)


def read_annotation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """People of an annotation.

    Returns:
        Boxes (K, 5), x0, y0, x1, y1 px and score, and BODY25 joints (K, 25, 3), x, y px and confidence; K may be 0.

    Raises:
        ToolError: The file is of another form.
    """
    content: Any = read_json(path, _LABEL)
    try:
        people = content["annots"]
        boxes = np.array([person["bbox"][:5] for person in people], np.float64).reshape(-1, 5)
        joints = np.array([person["keypoints"] for person in people], np.float64).reshape(-1, _BODY25, 3)
        if len(boxes) != len(people) or len(joints) != len(people):
            raise ValueError(f"{len(people)} people, {len(boxes)} boxes, {len(joints)} sets of joints")
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{_LABEL}: {path.name} is not an annotation of EasyMocap: {error!r}") from None
    if not (np.isfinite(boxes).all() and np.isfinite(joints).all()):
        raise ToolError(f"{_LABEL}: {path.name} holds numbers that are not finite")
    joints[..., 2] = joints[..., 2].clip(0)
    return boxes, joints
