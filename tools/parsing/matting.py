"""From the network's small mask to a matte along the edges of the full picture."""

from __future__ import annotations

import cv2
import numpy as np

from tools.parsing.segment import Region

_CANVAS_px = 720  # longest side at which edges are refined; larger pictures are refined at this size
_RADIUS = 0.01  # of the guided filter, share of the canvas's longer side
_EPSILON = 18.0**2  # squared 8-bit contrast below which a region is taken for flat
_CONTRAST = 2.2  # steepens the edge the filter has smoothed


def refine(
    rgb: np.ndarray, probability: np.ndarray, labels: np.ndarray, region: Region
) -> tuple[tuple[int, int, int, int], np.ndarray, np.ndarray]:
    """Matte and labels at source size.

    The matte is the probability filtered with the picture as guide (He et al., Guided Image Filtering, TPAMI 2013);
    labels are those of the nearest labelled pixel, with smooth borders, 0 outside the matte.

    Args:
        rgb: Shape (H, W, 3), uint8.
        probability: Shape (h, w), in the network's picture.
        labels: Shape (h, w), uint8, in the network's picture; 0 where unknown.
        region: Where the network's picture lies.

    Returns:
        Box x0, y0, x1, y1 in the source, and matte and labels inside it, uint8.
    """
    box = _box(probability, region, rgb.shape[:2])
    x0, y0, x1, y1 = box
    picture = rgb[y0:y1, x0:x1]
    width, height = x1 - x0, y1 - y0
    zoom = min(1.0, _CANVAS_px / max(width, height))
    size = (max(int(round(width * zoom)), 1), max(int(round(height * zoom)), 1))
    if zoom < 1.0:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    # Canvas pixel centres to the network's: canvas -> source -> network.
    scale = np.array([width / size[0], height / size[1]])
    source_from_canvas = np.array(
        [[scale[0], 0, (scale[0] - 1) / 2 + x0], [0, scale[1], (scale[1] - 1) / 2 + y0], [0, 0, 1]]
    )
    input_from_canvas = np.vstack([region.input_from_source, [0, 0, 1]]) @ source_from_canvas
    matrix = input_from_canvas[:2]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    coarse = np.clip(cv2.warpAffine(probability, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), 0, 1)
    radius = max(int(round(_RADIUS * max(size))), 2)
    smooth = cv2.ximgproc.guidedFilter(picture, coarse, radius, _EPSILON, scale=0.5 if min(size) > 64 else 1.0)
    alpha = np.clip((smooth - 0.5) * _CONTRAST + 0.5, 0.0, 1.0)
    # Away from the coarse edge the network is right: the filter must not open holes or reach along similar colours.
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    sure = cv2.erode(coarse, wide) > 0.9
    off = cv2.dilate(coarse, wide) < 0.1
    alpha[sure], alpha[off] = 1.0, 0.0
    parts = _enlarge_labels(labels, matrix, size)
    matte = np.rint(alpha * 255).astype(np.uint8)
    if zoom < 1.0:
        matte = cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR)
        parts = cv2.resize(parts, (width, height), interpolation=cv2.INTER_NEAREST)
    parts[matte < 128] = 0
    return box, matte, parts


def paste(empty: np.ndarray, part: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Full picture with a part at a box x0, y0, x1, y1 and `empty` elsewhere."""
    out = empty.copy()
    out[box[1] : box[3], box[0] : box[2]] = part
    return out


def _box(probability: np.ndarray, region: Region, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box in the source that holds every pixel with some probability, at least one pixel large."""
    rows, columns = np.nonzero(probability > 0.02)
    input_from_source = region.input_from_source
    inverse = np.linalg.inv(input_from_source[:, :2])
    if not len(rows):
        rows, columns = np.array([0]), np.array([0])
    points = (np.stack([columns, rows], 1) - input_from_source[:, 2]) @ inverse.T
    margin = 0.03 * region.side
    height, width = shape
    x0, y0 = np.floor(points.min(0) - margin).astype(int)
    x1, y1 = np.ceil(points.max(0) + margin).astype(int) + 1
    x0, y0 = int(np.clip(x0, 0, width - 1)), int(np.clip(y0, 0, height - 1))
    return x0, y0, int(np.clip(x1, x0 + 1, width)), int(np.clip(y1, y0 + 1, height))


def _enlarge_labels(labels: np.ndarray, input_from_canvas: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels of the nearest labelled pixel, borders between them smooth."""
    known = labels > 0
    best = np.zeros((size[1], size[0]), np.uint8)
    out = np.zeros((size[1], size[0]), np.uint8)
    if not known.any():
        return out
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(nearest.max() + 1, np.uint8)
    table[nearest[known]] = labels[known]
    everywhere = table[nearest]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for label in np.unique(everywhere):
        share = cv2.GaussianBlur((everywhere == label).view(np.uint8) * np.uint8(255), (0, 0), 1.0)
        there = cv2.warpAffine(share, input_from_canvas, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        better = there > best
        out[better] = label
        best[better] = there[better]
    return out
