"""Keypoints by Sapiens: people by YOLOX-L, 133 joints from heatmaps.

The original finds people with RTMDet in mmdet; YOLOX is at hand as one ONNX file and gives boxes of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from model_zoo.dwpose.region import region_of
from model_zoo.dwpose.yolox import Detector
from model_zoo.loading.device import choose
from model_zoo.sapiens.network import Network, prepare
from model_zoo.sapiens.pose import decode, picture_of
from tools.faults import of_networks
from tools.keypoints.topdown import find
from workflow.conventions import NUM_KEYPOINTS
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints, SapiensParams

_LABEL = "keypoints/sapiens"
_THREADS = 2


def load(params: SapiensParams, files: Mapping[str, Path]) -> Callable[[Frames], Keypoints]:
    """Open both networks and return the finder of the subject's joints.

    The small detector runs where onnxruntime can: on a GPU only where it was built for one.

    Raises:
        ToolError: A file is another network, or the device is not there.
    """
    with of_networks(_LABEL):
        detect = Detector(files["yolox-l"], "cpu" if params.device == "cpu" else "auto", _THREADS, params.min_detection)
        network = Network(
            files[f"sapiens-pose-133-{params.size}"], choose(params.device), (NUM_KEYPOINTS,), params.batch, params.half
        )

    def pose(pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> np.ndarray:
        regions = [region_of(box) for box in boxes]
        inputs = torch.stack([prepare(picture_of(rgb, region)) for rgb, region in zip(pictures, regions)])
        heatmaps = network(inputs).cpu().numpy()
        return np.stack([decode(maps, region) for maps, region in zip(heatmaps, regions)])

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
