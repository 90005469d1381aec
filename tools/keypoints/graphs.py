"""The networks of mediapipe's wheel, each as a plain function of an image and a region of interest.

`mediapipe.solutions` keeps hidden state between frames, returns one person only and throws the presence scores away.
The subgraphs it is made of (pose detector, pose landmarks, hand re-crop, hand landmarks, face detector, face mesh) are
registered in the wheel, so small graphs round them give stateless, deterministic functions. Source of the subgraphs and
of their model cards: google-ai-edge/mediapipe v0.10.21, `mediapipe/modules`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from mediapipe.calculators.tensor import inference_calculator_pb2, tensors_to_detections_calculator_pb2
from mediapipe.calculators.util import thresholding_calculator_pb2
from mediapipe.framework import calculator_pb2
from mediapipe.framework.formats import detection_pb2, landmark_pb2, rect_pb2
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import (
    calculator_graph,
    image_frame,
    packet,
    resource_util,
    validated_graph_config,
)

# Sides of the networks' inputs, px. mediapipe samples a region at pixel indices but takes the networks' coordinates,
# which count from the corner of the first input pixel, for indices: everything comes out half an input pixel too far
# right and down. (Measured as the difference between a picture and its mirror image at several scales.)
DETECTOR_px, POSE_px, RECROP_px, HAND_px, FACE_DETECTOR_px, FACE_px = 224, 256, 256, 224, 128, 192
POSE_LANDMARKS = 33
POSE_COMPLEXITY = 1  # the only one whose weights are in the wheel; 0 and 2 are downloaded
HAND_COMPLEXITY = 1  # the full hand model
MIN_DETECTION_SCORE = 0.3  # below it even the caller's checks have nothing to work on


@dataclass(frozen=True)
class Roi:
    """A rotated rectangle: centre and size in px (image frame), rotation in radians, clockwise on the screen."""

    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0

    def grown(self, scale: float, along: float = 0.0) -> Roi:
        """Make it a square of the longer side times `scale`, after a move by a share of the height along its own y."""
        shift = self.height * along
        side = max(self.width, self.height) * scale
        return Roi(
            self.x - np.sin(self.rotation) * shift,
            self.y + np.cos(self.rotation) * shift,
            side,
            side,
            self.rotation,
        )


@dataclass(frozen=True)
class Detection:
    """What a detector found: score in [0, 1], box (x0, y0, x1, y1) px, keypoints (K, 2) px, image frame."""

    score: float
    box: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class PoseResult:
    """Pose landmarks in one region.

    Attributes:
        score: Presence of a body in the region, [0, 1].
        xy: (33, 2) px, image frame.
        visibility: (33,) in [0, 1].
        presence: (33,) in [0, 1]: inside the region.
        world: (33, 3) m, origin between the hips, x right, y down, z away from the camera.
        alignment: (2, 2) px: hip centre, and a point on the circle round the whole body.
        belief: (33,) in [0, 1]: how far a second opinion confirms each landmark; 1 where none was asked.
    """

    score: float
    xy: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world: np.ndarray
    alignment: np.ndarray
    belief: np.ndarray = field(default_factory=lambda: np.ones(POSE_LANDMARKS))


@dataclass(frozen=True)
class PartResult:
    """Landmarks of a hand (21, 2) or a face (478, 2) in px, with the network's presence score in [0, 1]."""

    score: float
    xy: np.ndarray


class Picture:
    """One RGB frame handed to mediapipe once and shared by all graphs.

    Args:
        rgb: (H, W, 3) uint8.
    """

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = np.ascontiguousarray(rgb)
        self.height, self.width = self.rgb.shape[:2]
        self.packet = packet_creator.create_image_frame(self.rgb, image_format=image_frame.ImageFormat.SRGB)


class Networks:
    """All networks, loaded once.

    Args:
        threads: Threads of each network's interpreter. More than one can change the last bits of results.
        min_score: Presence in [0, 1] below which callers take a pose for nobody.
    """

    def __init__(self, threads: int = 1, min_score: float = 0.5) -> None:
        self.min_score = min_score
        resource_util.set_resource_dir(os.fspath(Path(packet_creator.__file__).parents[2]))
        self._bodies = _Graph(
            'input_stream: "image" node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image"'
            ' output_stream: "DETECTIONS:detections" }',
            ["detections"],
            threads=threads,
        )
        pose_score = "poselandmarkbyroicpu__tensorstoposelandmarksandsegmentation__pose_presence_score"
        self._pose = _Graph(
            _by_roi("PoseLandmarkByRoiCpu", ["model_complexity", "enable_segmentation"])
            + ' output_stream: "LANDMARKS:landmarks" output_stream: "AUXILIARY_LANDMARKS:alignment"'
            ' output_stream: "WORLD_LANDMARKS:world" }',
            ["landmarks", "alignment", "world", pose_score],
            {
                "model_complexity": packet_creator.create_int(POSE_COMPLEXITY),
                "enable_segmentation": packet_creator.create_bool(False),
            },
            threads=threads,
        )
        self._pose_score = pose_score
        self._recrop = _Graph(
            _by_roi("HandRecropByRoiCpu", []) + ' output_stream: "HAND_ROI_FROM_RECROP:found" }',
            ["found"],
            threads=threads,
        )
        self._hand_score = "handlandmarkcpu__hand_presence_score"
        self._hand = _Graph(
            _by_roi("HandLandmarkCpu", ["model_complexity"]) + ' output_stream: "LANDMARKS:landmarks" }',
            ["landmarks", self._hand_score],
            {"model_complexity": packet_creator.create_int(HAND_COMPLEXITY)},
            threads=threads,
        )
        self._faces = _Graph(
            _by_roi("FaceDetectionShortRangeByRoiCpu", []) + ' output_stream: "DETECTIONS:detections" }',
            ["detections"],
            threads=threads,
        )
        self._face_score = "facelandmarkcpu__face_presence_score"
        self._face = _Graph(
            _by_roi("FaceLandmarkCpu", ["with_attention"]) + ' output_stream: "LANDMARKS:landmarks" }',
            ["landmarks", self._face_score],
            {"with_attention": packet_creator.create_bool(True)},
            threads=threads,
        )
        self._warm_up()

    def _warm_up(self) -> None:
        """Run everything once: the networks' memory is allocated, and their start-up messages written, here."""
        blank = Picture(np.zeros((64, 64, 3), np.uint8))
        whole = Roi(31.5, 31.5, 64.0, 64.0)
        self.bodies(blank)
        for network in (self.pose, self.hand_roi, self.hand, self.faces, self.face):
            network(blank, whole)

    def bodies(self, picture: Picture) -> list[Detection]:
        """Return the people the detector sees in the whole picture.

        The points are: hip centre, a point on the circle round the whole body, shoulder centre, and a point on the
        circle round the upper body.
        """
        side = max(picture.width, picture.height)
        whole = Roi((picture.width - 1) / 2, (picture.height - 1) / 2, side, side)
        found = self._bodies.run(image=picture.packet).get("detections")
        return _detections(found, picture, _half_pixel(whole, DETECTOR_px))

    def pose(self, picture: Picture, roi: Roi) -> PoseResult:
        """Return the pose landmarks in a region made by `body_roi`."""
        found = self._pose.run(image=picture.packet, roi=_rect(roi, picture))
        half = _half_pixel(roi, POSE_px)
        landmarks = _landmarks(found["landmarks"], landmark_pb2.NormalizedLandmarkList)
        world = _landmarks(found["world"], landmark_pb2.LandmarkList)
        alignment = _landmarks(found["alignment"], landmark_pb2.NormalizedLandmarkList)
        return PoseResult(
            score=packet_getter.get_float(found[self._pose_score]),
            xy=_pixels(landmarks, picture) - half,
            visibility=landmarks[:, 3],
            presence=landmarks[:, 4],
            world=world[:, :3],
            alignment=_pixels(alignment, picture) - half,
        )

    def hand_roi(self, picture: Picture, roi: Roi) -> Roi:
        """Find the hand in a rough region round it and return the region the hand network wants."""
        proto = packet_getter.get_proto(self._recrop.run(image=picture.packet, roi=_rect(roi, picture))["found"])
        half = _half_pixel(roi, RECROP_px)
        return Roi(
            proto.x_center * picture.width - half[0],
            proto.y_center * picture.height - half[1],
            proto.width * picture.width,
            proto.height * picture.height,
            proto.rotation,
        )

    def hand(self, picture: Picture, roi: Roi) -> PartResult:
        """Return the 21 hand landmarks (wrist, then thumb to little finger, four each)."""
        return _part(self._hand, self._hand_score, picture, roi, HAND_px)

    def faces(self, picture: Picture, roi: Roi) -> list[Detection]:
        """Return the faces in a region, best first. The first two points are the subject's right and left eye."""
        found = self._faces.run(image=picture.packet, roi=_rect(roi, picture)).get("detections")
        return _detections(found, picture, _half_pixel(roi, FACE_DETECTOR_px))

    def face(self, picture: Picture, roi: Roi) -> PartResult:
        """Return the 478 points of the face mesh (attention model: lips, eyes and irises refined)."""
        return _part(self._face, self._face_score, picture, roi, FACE_px)

    def close(self) -> None:
        """Free the networks."""
        for graph in (self._bodies, self._pose, self._recrop, self._hand, self._faces, self._face):
            graph.close()


class _Graph:
    """One graph run synchronously: a packet for every input stream in, the observed streams' packets out.

    Every presence threshold in it is set below zero: landmarks always come out, and the caller judges by the score.
    """

    def __init__(
        self,
        config: str,
        outputs: Sequence[str],
        side_packets: Mapping[str, packet.Packet] | None = None,
        *,
        threads: int,
    ) -> None:
        validated = validated_graph_config.ValidatedGraphConfig()
        validated.initialize(graph_config=text_format.Parse(config, calculator_pb2.CalculatorGraphConfig()))
        expanded = calculator_pb2.CalculatorGraphConfig()
        expanded.ParseFromString(validated.binary_config)
        del expanded.executor[:]
        expanded.num_threads = 1
        _configure(expanded, threads)
        self._graph = calculator_graph.CalculatorGraph(graph_config=expanded)
        self._found: dict[str, packet.Packet] = {}
        self._time = 0
        for name in outputs:
            self._graph.observe_output_stream(name, self._found.__setitem__)
        self._graph.start_run(dict(side_packets or {}))

    def run(self, **inputs: packet.Packet) -> dict[str, packet.Packet]:
        self._time += 1
        self._found.clear()
        for name, value in inputs.items():
            self._graph.add_packet_to_input_stream(name, value.at(self._time))
        self._graph.wait_until_idle()
        return dict(self._found)

    def close(self) -> None:
        self._graph.close()


def _configure(config: calculator_pb2.CalculatorGraphConfig, threads: int) -> None:
    thresholding = thresholding_calculator_pb2.ThresholdingCalculatorOptions.ext
    inference = inference_calculator_pb2.InferenceCalculatorOptions.ext
    detecting = tensors_to_detections_calculator_pb2.TensorsToDetectionsCalculatorOptions.ext
    for node in config.node:
        if node.options.HasExtension(inference):
            node.options.Extensions[inference].delegate.xnnpack.num_threads = threads
        if node.calculator == "ThresholdingCalculator":
            node.options.Extensions[thresholding].threshold = -1.0
        if node.options.HasExtension(detecting):
            node.options.Extensions[detecting].min_score_thresh = MIN_DETECTION_SCORE


def _by_roi(calculator: str, side_packets: Sequence[str]) -> str:
    sides = "".join(f' input_side_packet: "{name.upper()}:{name}"' for name in side_packets)
    declared = "".join(f' input_side_packet: "{name}"' for name in side_packets)
    return (
        f'input_stream: "image" input_stream: "roi"{declared} node {{ calculator: "{calculator}"'
        f' input_stream: "IMAGE:image" input_stream: "ROI:roi"{sides}'
    )


def _part(graph: _Graph, score: str, picture: Picture, roi: Roi, input_px: int) -> PartResult:
    found = graph.run(image=picture.packet, roi=_rect(roi, picture))
    landmarks = _landmarks(found["landmarks"], landmark_pb2.NormalizedLandmarkList)
    return PartResult(packet_getter.get_float(found[score]), _pixels(landmarks, picture) - _half_pixel(roi, input_px))


def _rect(roi: Roi, picture: Picture) -> packet.Packet:
    return packet_creator.create_proto(
        rect_pb2.NormalizedRect(
            x_center=roi.x / picture.width,
            y_center=roi.y / picture.height,
            width=roi.width / picture.width,
            height=roi.height / picture.height,
            rotation=roi.rotation,
        )
    )


def _half_pixel(roi: Roi, input_px: int) -> np.ndarray:
    """Half a pixel of a network's input in the picture, (2,) px, along both axes of the region."""
    step = 0.5 * roi.width / input_px
    c, s = np.cos(roi.rotation), np.sin(roi.rotation)
    return np.array([(c - s) * step, (s + c) * step])


def _landmarks(value: packet.Packet, kind: type) -> np.ndarray:
    message = packet_getter.get_proto(value)
    if not isinstance(message, kind):
        raise TypeError(f"mediapipe returned {type(message).__name__}, expected {kind.__name__}")
    return np.array([(p.x, p.y, p.z, p.visibility, p.presence) for p in message.landmark], np.float64)


def _pixels(landmarks: np.ndarray, picture: Picture) -> np.ndarray:
    return landmarks[:, :2] * (picture.width, picture.height)


def _detections(value: packet.Packet | None, picture: Picture, half: np.ndarray) -> list[Detection]:
    if value is None or value.is_empty():
        return []
    return [_detection(message, picture, half) for message in packet_getter.get_proto_list(value)]


def _detection(message: detection_pb2.Detection, picture: Picture, half: np.ndarray) -> Detection:
    size = np.array([picture.width, picture.height], np.float64)
    box = message.location_data.relative_bounding_box
    corner = np.array([box.xmin, box.ymin]) * size - half
    extent = np.array([box.width, box.height]) * size
    points = np.array([(p.x, p.y) for p in message.location_data.relative_keypoints], np.float64)
    return Detection(message.score[0], np.concatenate([corner, corner + extent]), points * size - half)
