"""MediaPipe's person segmentation of the subject, in a region that the keypoints choose.

The segmentation head of the pose network (BlazePose GHUM, google-ai-edge/mediapipe v0.10.21,
`modules/pose_landmark`) marks the person in the middle of its region and leaves other people out, which the
selfie network does not. It is trained on a square round the hips that holds the whole body, upright along the spine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from google.protobuf import text_format
from mediapipe.calculators.tensor import inference_calculator_pb2
from mediapipe.calculators.util import thresholding_calculator_pb2
from mediapipe.framework import calculator_pb2
from mediapipe.framework.formats import rect_pb2
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import calculator_graph, image_frame, resource_util, validated_graph_config

from tools.chatter import hushed

SIDE_px = 256  # of the network's input and of its mask
_COMPLEXITY = 1  # the only pose network whose weights are in the wheel
_SCALE = 1.25  # of the circle round the body, as mediapipe's own pose_landmarks_to_roi
_GRAPH = """
input_stream: "image" input_stream: "roi"
input_side_packet: "model_complexity" input_side_packet: "enable_segmentation"
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_stream: "IMAGE:image" input_stream: "ROI:roi"
  input_side_packet: "MODEL_COMPLEXITY:model_complexity"
  input_side_packet: "ENABLE_SEGMENTATION:enable_segmentation"
  output_stream: "SEGMENTATION_MASK:mask"
}
"""
_HARMLESS = (
    "Created TensorFlow Lite XNNPACK delegate",
    "All log messages before absl::InitializeLog()",
    "Feedback manager requires a model with a single signature inference",
    "Using NORM_RECT without IMAGE_DIMENSIONS",  # the region is square in px, which is the supported case
)


@dataclass(frozen=True)
class Region:
    """Square in the source that the network looks at: centre and side in px, angle in rad, clockwise on screen."""

    x: float
    y: float
    side: float
    angle: float

    @property
    def input_from_source(self) -> np.ndarray:
        """Similarity from source pixels to the network's input pixels, shape (2, 3)."""
        zoom = SIDE_px / self.side
        cos, sin = zoom * np.cos(self.angle), zoom * np.sin(self.angle)
        middle = (SIDE_px - 1) / 2
        turn = np.array([[cos, sin], [-sin, cos]])
        return np.column_stack([turn, middle - turn @ (self.x, self.y)])


def region_of(points: np.ndarray, confidence: np.ndarray, box: np.ndarray, smallest: float = 0.3) -> Region:
    """Region round a person, as the pose network was trained on.

    Args:
        points: Shape (J, 2), px, image frame; body joints in COCO order (at least 17).
        confidence: Shape (J,).
        box: Shape (4,), px, image frame: x0, y0, x1, y1 of the person.
        smallest: Confidence from which on a joint counts.
    """
    centre = (box[:2] + box[2:]) / 2
    seen = confidence >= smallest
    corners = np.array([[box[0], box[1]], [box[2], box[1]], [box[0], box[3]], [box[2], box[3]]])
    angle = 0.0
    if seen[[5, 6, 11, 12]].all():
        centre = points[[11, 12]].mean(0)
        spine = points[[5, 6]].mean(0) - centre
        if np.hypot(*spine) > 0.1 * np.hypot(*(box[2:] - box[:2])):
            angle = float(np.arctan2(spine[0], -spine[1]))
    body = points[seen] if seen.any() else corners
    radius = np.linalg.norm(body - centre, axis=1).max()
    head = points[:5][seen[:5]]
    if len(head):  # joints end at the eyes: the circle goes on to the crown
        radius = max(radius, 1.15 * np.linalg.norm(head - centre, axis=1).max())
    return Region(float(centre[0]), float(centre[1]), float(max(2 * _SCALE * radius, 16.0)), angle)


class Segmenter:
    """The network, loaded once.

    Args:
        threads: Threads of its interpreter.
    """

    def __init__(self, threads: int = 1) -> None:
        with hushed():
            resource_util.set_resource_dir(os.fspath(Path(packet_creator.__file__).parents[2]))
            self._graph = calculator_graph.CalculatorGraph(graph_config=_expanded(threads))
            self._mask: list[object] = []
            self._graph.observe_output_stream("mask", lambda _, packet: self._mask.append(packet))
            self._graph.start_run(
                {
                    "model_complexity": packet_creator.create_int(_COMPLEXITY),
                    "enable_segmentation": packet_creator.create_bool(True),
                }
            )
            self._graph.wait_until_idle()
            self._time = 0
            self(np.zeros((SIDE_px, SIDE_px, 3), np.uint8))  # the first call complains about what does not concern it

    def __call__(self, patch: np.ndarray) -> np.ndarray:
        """Segment the person in the middle.

        Args:
            patch: Shape (256, 256, 3), uint8 RGB.

        Returns:
            Shape (256, 256), float32: probability of the person.
        """
        height, width = patch.shape[:2]
        self._time += 1
        self._mask.clear()
        whole = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0, rotation=0.0)
        image = packet_creator.create_image_frame(
            np.ascontiguousarray(patch), image_format=image_frame.ImageFormat.SRGB
        )
        self._graph.add_packet_to_input_stream("image", image.at(self._time))
        self._graph.add_packet_to_input_stream("roi", packet_creator.create_proto(whole).at(self._time))
        self._graph.wait_until_idle()
        if not self._mask:
            return np.zeros((height, width), np.float32)
        return np.array(packet_getter.get_image(self._mask[-1]).numpy_view(), np.float32).reshape(height, width)

    def close(self) -> None:
        """Free the network."""
        self._graph.close()


def _expanded(threads: int) -> calculator_pb2.CalculatorGraphConfig:
    """Return the graph with its subgraphs written out, one thread, and no presence threshold: the mask always comes."""
    validated = validated_graph_config.ValidatedGraphConfig()
    validated.initialize(graph_config=text_format.Parse(_GRAPH, calculator_pb2.CalculatorGraphConfig()))
    config = calculator_pb2.CalculatorGraphConfig()
    config.ParseFromString(validated.binary_config)
    del config.executor[:]
    config.num_threads = 1
    inference = inference_calculator_pb2.InferenceCalculatorOptions.ext
    thresholding = thresholding_calculator_pb2.ThresholdingCalculatorOptions.ext
    for node in config.node:
        if node.options.HasExtension(inference):
            node.options.Extensions[inference].delegate.xnnpack.num_threads = threads
        if node.calculator == "ThresholdingCalculator":
            node.options.Extensions[thresholding].threshold = 0.0
    return config


def sample(image: np.ndarray, input_from_source: np.ndarray, side: int) -> np.ndarray:
    """Square patch of an image without aliasing; the border is repeated outside.

    Args:
        image: Shape (H, W) or (H, W, C).
        input_from_source: Similarity from its pixels to the patch's, shape (2, 3).
        side: Side of the patch, px.
    """
    zoom = np.hypot(input_from_source[0, 0], input_from_source[0, 1])
    matrix = input_from_source.copy()
    shrink = int(1.0 / zoom) if zoom < 0.5 else 1
    if shrink > 1:  # whole blocks are averaged first; block k covers source pixels k * shrink to (k + 1) * shrink - 1
        height, width = image.shape[0] // shrink * shrink, image.shape[1] // shrink * shrink
        image = cv2.resize(image[:height, :width], (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
        matrix[:, 2] += matrix[:, :2] @ np.full(2, (shrink - 1) / 2)
        matrix[:, :2] *= shrink
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
