"""Parsing by SCHP: the whole picture and every person once through its networks, fused in memory, cut to the subject.

As the original recipe does it (Self-Correction-Human-Parsing 6d98043, instant-nvr's `cropschp`), without its files: the
crops are not stored as JPEG in between, and where the mask of somebody else is known, it is background.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from model_zoo.schp.fusion import Window, fuse, look, person_window
from model_zoo.schp.network import Schp, SchpConfig, published_names
from tools.networks import Run, chunks, device_of, fill, runner
from tools.parsing.instances import Detectron, Instances, alone, chosen
from workflow import layout
from workflow.conventions import BODY
from workflow.errors import Rejected
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing, SchpParams

logger = logging.getLogger(__name__)

NETWORK = SchpConfig()  # the published one
_LABEL = "parsing/schp"
_CERTAIN = 6.24  # logits from which on the matte is 0 or 255
_SEEN = 0.3  # confidence from which a joint shows where the subject is


def load(params: SchpParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints, Body], Parsing]:
    """Load both networks and return the parser.

    Args:
        params: Settings.
        files: `schp-cihp-global` and `schp-cihp-local`: the published checkpoints.
    """
    whole, person = (network_of(files[name], params) for name in ("schp-cihp-global", "schp-cihp-local"))
    detector = None
    if params.instances == "detectron2":
        weights = layout.WEIGHTS / params.detectron2_weights
        detector = Detectron(params.detectron2_python, weights, device_of(params.device, _LABEL).type)
    size = NETWORK.size

    def run(frames: Frames, keypoints: Keypoints, body: Body) -> Parsing:
        return parse(frames, keypoints, params, whole, person, detector, size)

    return run


def network_of(path: Path, params: SchpParams) -> Run:
    """Network of a published checkpoint, ready to be run."""
    network = Schp(NETWORK)
    fill(network, path, _LABEL, names=published_names)
    return runner(network, device_of(params.device, _LABEL), params.batch, _LABEL)


def parse(
    frames: Frames,
    keypoints: Keypoints,
    params: SchpParams,
    whole: Run,
    person: Run,
    detector: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]] | None,
    size: int,
) -> Parsing:
    """Parse one clip.

    Args:
        frames: Pictures.
        keypoints: Where the subject is.
        params: Settings.
        whole: Logits (N, 20, s, s) of whole pictures, given as (N, 3, size, size).
        person: Likewise of people.
        detector: Boxes, scores and masks of the people in a picture; None for the keypoints' box alone.
        size: Side of the networks' input, px.

    Raises:
        Rejected: The subject is found in no frame.
    """
    height, width = frames.rgb.frame_shape[:2]
    matte, labels = Parsing.spool("matte"), Parsing.spool("labels")
    valid = keypoints.valid.copy()
    empty = np.zeros((height, width), np.uint8)
    shares: list[float] = []
    detected = people = 0
    for chunk in chunks(enumerate(frames.rgb), params.batch):
        given = [(t, rgb) for t, rgb in chunk if valid[t]]
        found: dict[int, Instances] = {}
        for t, rgb in given:
            box = keypoints.box[t]
            found[t] = alone(box) if detector is None else chosen(*detector(rgb), box)
        results: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if given:
            everything = Window(0, 0, width - 1, height - 1)
            pictures = whole(np.stack([look(rgb, everything, size) for _, rgb in given]))
            windows = [(t, rgb, person_window(box, width, height)) for t, rgb in given for box in found[t].boxes]
            crops = person(np.stack([look(rgb, window, size) for _, rgb, window in windows]))
            for (t, _), picture in zip(given, pictures):
                persons = [(crop, window) for (owner, _, window), crop in zip(windows, crops) if owner == t]
                region = subject_region(found[t].boxes[found[t].subject], width, height, params.margin)
                if region is not None:
                    results[t] = _cut(fuse(picture, persons, width, height, region), found[t], keypoints, t, region)
                detected += found[t].detected
                people += len(persons)
        for t, _ in chunk:
            alpha, parts = results.get(t, (empty, empty))
            if valid[t] and not parts.any():
                valid[t] = False
                alpha, parts = empty, empty
            if valid[t]:
                shares.append(float((parts > 0).mean()))
            matte.append(alpha)
            labels.append(parts)
    if not valid.any():
        raise Rejected("no person was parsed in any frame")
    blank = int((keypoints.valid & ~valid).sum())
    if blank:
        logger.warning("%s: nothing of the subject in %d frames in which there are keypoints", _LABEL, blank)
    tried = max(int(keypoints.valid.sum()), 1)
    quality = {
        "valid_share": float(valid.mean()),
        "matte_share": float(np.mean(shares)),
        "detected_share": detected / tried,
        "persons": people / tried,
    }
    return Parsing(matte=matte.finish(), labels=labels.finish(), valid=valid, quality=quality)


def subject_region(box: np.ndarray, width: int, height: int, margin: float = 0.0) -> Window | None:
    """What of the picture may be the subject: his box, truncated to whole pixels and cut to the picture.

    Args:
        box: x0, y0, x1, y1 px.
        width: Of the picture, px.
        height: Of the picture, px.
        margin: By which the box grows on each side, share of its longer side.

    Returns:
        None where nothing is left.
    """
    grow = margin * float((box[2:4] - box[:2]).max())
    x0, y0 = max(int(box[0] - grow), 0), max(int(box[1] - grow), 0)
    x1, y1 = min(int(box[2] + grow), width), min(int(box[3] + grow), height)  # exclusive
    return Window(x0, y0, x1 - 1, y1 - 1) if x1 > x0 and y1 > y0 else None


def _cut(
    fused: tuple[np.ndarray, np.ndarray], people: Instances, keypoints: Keypoints, t: int, region: Window
) -> tuple[np.ndarray, np.ndarray]:
    """Matte and labels of the subject: without other people and without islands that hold none of his joints."""
    whole = fused[0]
    at = np.s_[region.y0 : region.y1 + 1, region.x0 : region.x1 + 1]
    labels, margins = whole[at], fused[1][at]
    if people.others is not None:
        labels[people.others[at]] = 0
    sure = keypoints.confidence[t, BODY] >= _SEEN
    keep = subject_islands(labels > 0, keypoints.xy[t, BODY][sure] - (region.x0, region.y0))
    labels *= keep
    # The matte is what a softmax over background and the best other class gives; 128 and more where there is a label.
    alpha = np.where(keep, np.uint8(255), np.uint8(0))
    edge = (np.abs(margins) < _CERTAIN) & cv2.dilate(keep.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool)
    if people.others is not None:
        edge &= ~people.others[at]
    soft = np.rint(255 / (1 + np.exp(-margins[edge]))).astype(np.uint8)
    alpha[edge] = np.where(keep[edge], np.maximum(soft, 128), np.minimum(soft, 127))
    matte = np.zeros_like(whole)
    matte[at] = alpha
    return matte, whole


def subject_islands(mask: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Connected parts of a mask (H, W) that hold a joint (N, 2) px; the largest where none does."""
    count, islands, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask.copy()
    at = np.rint(joints).astype(int)
    at = at[(at >= 0).all(1) & (at[:, 0] < mask.shape[1]) & (at[:, 1] < mask.shape[0])]
    held = np.unique(islands[at[:, 1], at[:, 0]])
    held = held[held > 0]
    if not len(held):
        held = np.array([1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())])
    return np.isin(islands, held)
