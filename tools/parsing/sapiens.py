"""The subject's matte and part labels by Sapiens, on a window round the subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from model_zoo.dwpose.region import region_of
from model_zoo.loading.device import choose
from model_zoo.sapiens.network import Network, prepare, resized
from model_zoo.sapiens.parts import CLASSES, TO_SCHP
from tools.faults import of_networks
from tools.networks import chunks
from workflow.conventions import BODY
from workflow.errors import Rejected
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing, SapiensParams

_LABEL = "parsing/sapiens"
_SEEN = 0.3  # confidence from which on a joint shows where the subject is
_HALF = 128  # of the matte


@dataclass(frozen=True)
class _Window:
    """Part of a picture: left, top, width and height in whole px; may reach beyond the picture."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, rgb: np.ndarray) -> np.ndarray:
        """The part, black outside the picture."""
        height, width = rgb.shape[:2]
        inner = rgb[max(self.top, 0) : self.top + self.height, max(self.left, 0) : self.left + self.width]
        above, beside = max(-self.top, 0), max(-self.left, 0)
        below, beyond = max(self.top + self.height - height, 0), max(self.left + self.width - width, 0)
        return cv2.copyMakeBorder(inner, above, below, beside, beyond, cv2.BORDER_CONSTANT)

    def paste(self, part: np.ndarray, height: int, width: int) -> np.ndarray:
        """Picture of (height, width) with a part at its place and 0 elsewhere."""
        out = np.zeros((height, width), part.dtype)
        y0, y1 = max(self.top, 0), min(self.top + self.height, height)
        x0, x1 = max(self.left, 0), min(self.left + self.width, width)
        out[y0:y1, x0:x1] = part[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
        return out


def load(params: SapiensParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints, Body], Parsing]:
    """Open the network and return the parser.

    Raises:
        ToolError: The file is another network, or the device is not there.
    """
    with of_networks(_LABEL):
        path = files[f"sapiens-seg-{params.size}"]
        network = Network(path, choose(params.device), (len(CLASSES),), params.batch, params.half)

    def work(frames: Frames, keypoints: Keypoints, body: Body) -> Parsing:
        with of_networks(_LABEL):
            return parse(network, frames, keypoints, params)

    return work


def parse(network: Network, frames: Frames, keypoints: Keypoints, params: SapiensParams) -> Parsing:
    """Matte and labels of all frames.

    Raises:
        Rejected: The subject is found in no frame.
    """
    height, width = frames.rgb.frame_shape[:2]
    matte, labels = Parsing.spool("matte"), Parsing.spool("labels")
    empty = np.zeros((height, width), np.uint8)
    valid = keypoints.valid.copy()
    shares = []
    for chunk in chunks(enumerate(frames.rgb), params.batch):
        windows = {t: window_of(keypoints.box[t]) for t, _ in chunk if valid[t]}
        parts = [prepare(windows[t].cut(rgb)) for t, rgb in chunk if valid[t]]
        outputs = iter(network(torch.stack(parts)) if parts else ())
        for t, _ in chunk:
            alpha, named = empty, empty
            if valid[t]:
                alpha, named = read(next(outputs), windows[t])
                alpha, named = (windows[t].paste(part, height, width) for part in (alpha, named))
                alpha = subject_only(alpha, keypoints.xy[t], keypoints.confidence[t], params.min_component_share)
                named = np.where(alpha >= _HALF, named, 0).astype(np.uint8)
                valid[t] = bool(named.any())
            if not valid[t]:
                alpha, named = empty, empty
            else:
                shares.append(float((alpha >= _HALF).mean()))
            matte.append(alpha)
            labels.append(named)
    if not valid.any():
        raise Rejected("no person was parsed in any frame")
    quality = {"valid_share": float(valid.mean()), "matte_share": float(np.mean(shares))}
    return Parsing(matte=matte.finish(), labels=labels.finish(), valid=valid, quality=quality)


def window_of(box: np.ndarray) -> _Window:
    """Window round a box x0, y0, x1, y1 px with the network's aspect."""
    region = region_of(box)
    low = np.floor(region.centre - region.scale / 2).astype(int)
    size = np.maximum(np.ceil(region.scale).astype(int), 1)
    return _Window(int(low[0]), int(low[1]), int(size[0]), int(size[1]))


def read(logits: Tensor, window: _Window) -> tuple[np.ndarray, np.ndarray]:
    """Matte and labels of a window from the network's output.

    Args:
        logits: Shape (28, h, w).
        window: Whose size they get.

    Returns:
        Matte, 255 times the probability that it is no background, and SCHP's label of the likeliest part, both
        (height, width), uint8.
    """
    sized = resized(logits[None], window.height, window.width)[0]
    shown = 1 - sized.softmax(0)[0]
    part = sized[1:].argmax(0) + 1
    alpha = (shown * 255).round().to(torch.uint8).cpu().numpy()
    return alpha, TO_SCHP[part.cpu().numpy()]


def subject_only(matte: np.ndarray, joints: np.ndarray, confidence: np.ndarray, min_share: float) -> np.ndarray:
    """Matte without islands on which no joint of the subject lies, and without small ones.

    Args:
        matte: Shape (H, W), uint8.
        joints: Shape (133, 2), px.
        confidence: Shape (133,).
        min_share: Of the whole area, below which an island is small.
    """
    mask = (matte >= _HALF).astype(np.uint8)
    count, islands, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return matte
    seen = np.rint(joints[BODY][confidence[BODY] >= _SEEN]).astype(int)
    inside = (seen >= 0).all(1) & (seen < mask.shape[::-1]).all(1)
    hits = np.bincount(islands[seen[inside, 1], seen[inside, 0]], minlength=count)
    hits[0] = 0
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    if not hits.any():
        hits[1 + int(area[1:].argmax())] = 1
    kept = (hits > 0) & (area >= min_share * area[1:].sum())
    kept[int(np.where(hits > 0, area, 0).argmax())] = True
    # Soft edges of what goes, too: every pixel belongs to the island next to it.
    _, nearest = cv2.distanceTransformWithLabels(1 - mask, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.zeros(nearest.max() + 1, islands.dtype)
    owner[nearest[mask > 0]] = islands[mask > 0]
    return np.where(kept[owner[nearest]], matte, 0).astype(np.uint8)
