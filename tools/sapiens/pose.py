"""Joints of the people in one picture."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import cv2
import numpy as np

from model_zoo.dwpose.region import Region, region_of
from model_zoo.loading.device import choose
from model_zoo.sapiens.network import Network, prepare
from model_zoo.sapiens.pose import NAMES, decode, peaks, picture_of
from tools.sapiens import pictures
from tools.sapiens.checkpoints import resolve
from workflow.conventions import COCO_EDGES, COCO_WHOLEBODY
from workflow.errors import ToolError
from workflow.store import replacing

_COLOURS = ((255, 153, 51), (51, 153, 255), (0, 200, 0))  # left, right, middle


def pose(options: argparse.Namespace) -> None:
    """Write the picture with the joints drawn, and the JSON file: per person, name to x, y, confidence."""
    rgb = pictures.read(options.input)
    target = _json_path(options)
    name = f"sapiens-pose-{options.keypoints}-{options.model}"
    path = resolve(name, options.pose_checkpoint, options.checkpoint_dir, "--pose_checkpoint")
    network = Network(path, choose(options.device), tuple(NAMES))
    people, written = [], []
    for box in _boxes(rgb, options):
        region = region_of(box)
        heatmaps = network(prepare(picture_of(rgb, region))[None])[0].cpu().numpy()
        joints = decode(heatmaps, region)
        people.append((joints, region))
        given = peaks(heatmaps) if options.coords == "heatmap" else joints
        named = zip(NAMES[len(joints)], given.tolist())
        written.append({name: [round(value, 4) for value in row] for name, row in named})
    pictures.write(options.output, draw(rgb, people, options.kpt_threshold))
    if target is not None:
        with replacing(target) as partial:
            partial.write_text(json.dumps(written, indent=1) + "\n")


def _json_path(options: argparse.Namespace) -> Path | None:
    given: list[Path] = [path for path in (options.json, options.output_json) if path is not None]
    if len(set(given)) > 1:
        raise ToolError(f"the JSON file is named twice: {given[0]} and --output_json {given[1]}")
    return given[0] if given else None


def _boxes(rgb: np.ndarray, options: argparse.Namespace) -> list[np.ndarray]:
    """Boxes of people: given, or found by the detector; nobody found, or no detector: the whole picture."""
    whole = np.array([0.0, 0.0, rgb.shape[1], rgb.shape[0]])
    if options.box:
        return [np.array(box, np.float64) for box in options.box]
    if options.detector is None:
        return [whole]
    if not options.detector.is_file():
        raise ToolError(f"--detector: {options.detector} is no file")
    detector = importlib.import_module("model_zoo.dwpose.yolox").Detector(options.detector)  # needs onnxruntime
    return [box[:4] for box in detector(rgb)] or [whole]


def draw(rgb: np.ndarray, people: list[tuple[np.ndarray, Region]], threshold: float) -> np.ndarray:
    """Picture with joints and limbs from `threshold` on; shape (H, W, 3), uint8."""
    out = rgb.copy()
    for joints, region in people:
        names = NAMES[len(joints)]
        place = {name: row[:2] for name, row in zip(names, joints) if row[2] >= threshold}
        size = max(int(round(region.scale[1] / 250)), 1)
        for a, b in COCO_EDGES:
            ends = [place.get(COCO_WHOLEBODY[end]) for end in (a, b)]
            if ends[0] is not None and ends[1] is not None:
                cv2.line(out, _pixel(ends[0]), _pixel(ends[1]), _colour(COCO_WHOLEBODY[b]), size, cv2.LINE_AA)
        for name, xy in place.items():
            cv2.circle(out, _pixel(xy), size + 1, _colour(name), -1, cv2.LINE_AA)
    return out


def _pixel(xy: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(np.rint(xy), -32_000, 32_000).astype(int)
    return int(x), int(y)


def _colour(name: str) -> tuple[int, int, int]:
    return _COLOURS[0 if name.startswith("left") else 1 if name.startswith("right") else 2]
