"""Keypoints as EasyMocap's `yolo-hrnet` finds them, by networks of our own: YOLOv4 608 and HRNet-W48 384x288.

Detection, crop and decoding are to the last digit those of EasyMocap d2a0a2d (`easymocap/estimator`): no flip test, no
rotation. Body joints only; hands, feet and face are absent. The subject is followed by overlap and size of his boxes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_zoo.hrnet.crop import POSE_MARGIN, apply, crop_from_image, cut, invert
from model_zoo.hrnet.decode import decode
from model_zoo.hrnet.network import HrnetConfig, PoseHrnet
from model_zoo.yolov4.network import Yolov4, Yolov4Config, proposals
from model_zoo.yolov4.people import letterbox, select, to_pixels
from model_zoo.yolov4.weights import load_darknet
from tools.keypoints.assemble import assemble
from tools.keypoints.boxes import Person, persons
from tools.networks import chunks, device_of, fill, runner
from workflow.errors import Rejected, ToolError
from workflow.stages.frames import Frames
from workflow.stages.keypoints import HrnetParams, Keypoints

logger = logging.getLogger(__name__)

DETECTOR, POSE = Yolov4Config(), HrnetConfig()  # the published networks
_LABEL = "keypoints/hrnet"


class Detector:
    """Finds people in pictures."""

    def __init__(self, network: Yolov4, params: HrnetParams) -> None:
        """Prepare a network."""
        self._config, self._params = network.config, params
        device = device_of(params.device, _LABEL)
        self._run = runner(network, device, params.batch, _LABEL, lambda x: _joined(network, x))

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """People in pictures (H, W, 3) uint8: per picture (K, 5), x0, y0, x1, y1 px and score, surest first."""
        size = self._config.size
        squares = np.stack([letterbox(rgb, size) for rgb in pictures]).transpose(0, 3, 1, 2).astype(np.float32) / 255
        found = []
        for rgb, (boxes, scores, labels) in zip(pictures, map(_parts, self._run(np.ascontiguousarray(squares)))):
            chosen = select(boxes, scores, labels, self._params.min_confidence, self._params.max_overlap)
            found.append(to_pixels(chosen, rgb.shape[1], rgb.shape[0], size))
        return found


def _joined(network: Yolov4, x: Tensor) -> Tensor:
    """Boxes, scores and classes side by side, (N, A, 6)."""
    boxes, scores, labels = proposals(network(x), network.config)
    return torch.cat([boxes, scores[..., None], labels[..., None].float()], -1)


def _parts(row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return row[:, :4], row[:, 4], row[:, 5].astype(np.int64)


class Poser:
    """Finds the joints of a person in a box."""

    def __init__(self, network: PoseHrnet, params: HrnetParams) -> None:
        """Prepare a network."""
        self._size = network.config.input_size
        self._run = runner(network, device_of(params.device, _LABEL), params.batch, _LABEL)

    def __call__(self, pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Joints (N, 17, 3), x, y px and confidence, of one person per picture (H, W, 3) uint8."""
        matrices = [crop_from_image(box, self._size, POSE_MARGIN) for box in boxes]
        crops = np.stack([cut(rgb, matrix, self._size) for rgb, matrix in zip(pictures, matrices)])
        positions, confidences = decode(self._run(crops))
        xy = np.stack([apply(invert(matrix), points) for matrix, points in zip(matrices, positions)])
        return np.concatenate([xy, confidences[..., None]], -1)


def load(params: HrnetParams, files: Mapping[str, Path]) -> Callable[[Frames], Keypoints]:
    """Load both networks and return the finder of the subject's joints.

    Args:
        params: Settings.
        files: `yolov4`: Darknet's weights; `hrnet-w48`: the published checkpoint.
    """
    detector, poser = Yolov4(DETECTOR), PoseHrnet(POSE)
    try:
        load_darknet(detector, files["yolov4"])
    except ValueError as error:
        raise ToolError(f"{_LABEL}: {error}") from None
    fill(poser, files["hrnet-w48"], _LABEL)
    detect, pose = Detector(detector, params), Poser(poser, params)
    return lambda frames: find(detect, pose, frames, params)


def find(
    detect: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
    pose: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], np.ndarray],
    frames: Frames,
    params: HrnetParams,
) -> Keypoints:
    """Find the subject's joints in all frames of a clip.

    Raises:
        Rejected: Nobody is seen, or fewer people than `subject` asks for, or the subject too rarely.
    """
    height, width = frames.rgb.frame_shape[:2]
    boxes = [box for chunk in chunks(frames.rgb, params.batch) for box in detect(chunk)]
    people = persons(boxes, frames.timestamps, width, height)
    if len(people) <= frames.subject:
        told = f"person {frames.subject + 1} asked for, {len(people)} found"
        raise Rejected(told if people else "no person found")
    subject: Person = people[frames.subject]
    where = dict(zip(subject.frames, subject.boxes))
    joints: dict[int, np.ndarray] = {}
    for chunk in chunks(subject.frames, params.batch):
        found = pose([frames.rgb[index] for index in chunk], [where[index] for index in chunk])
        joints.update(zip(chunk, found))
    figures = {
        "people": float(len(people)),
        "prominence": subject.prominence,
        "detection_score": float(np.mean([box[4] for box in subject.boxes])),
    }
    return assemble(len(boxes), joints, where, (height, width), params.min_valid_share, figures)
