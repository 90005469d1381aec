"""Keypoints by DWPose: people by YOLOX-L, 133 joints by the distilled whole-body network, both through onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from model_zoo.dwpose.pose import Poser
from model_zoo.dwpose.yolox import Detector
from tools.faults import of_networks
from tools.keypoints.topdown import find
from workflow.stages.frames import Frames
from workflow.stages.keypoints import DwposeParams, Keypoints

_LABEL = "keypoints/dwpose"
_THREADS = 2


def load(params: DwposeParams, files: Mapping[str, Path]) -> Callable[[Frames], Keypoints]:
    """Open both networks and return the finder of the subject's joints.

    Raises:
        ToolError: A file is another network, or the device is not there.
    """
    with of_networks(_LABEL):
        detect = Detector(files["yolox-l"], params.device, _THREADS, params.min_detection)
        pose = Poser(files["dwpose-l-384"], params.device, _THREADS, params.batch)

    def work(frames: Frames) -> Keypoints:
        with of_networks(_LABEL):
            return find(
                detect,
                pose,
                frames,
                min_confidence=params.min_confidence,
                min_valid_share=params.min_valid_share,
                batch=params.batch,
            )

    return work
