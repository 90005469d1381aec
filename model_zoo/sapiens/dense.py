"""What depth and normal outputs mean, and their pictures."""

from __future__ import annotations

import cv2
import numpy as np

_EPSILON = 1e-5  # of the original, under the norm

# Axes of the network's normals, as signs of ours (x right, y down, z away from the camera). The published checkpoints
# colour a surface that faces the camera blue, (0, 0, 1), and one that faces up green: x right, y up, z to the camera.
AXES = {"opengl": (1.0, -1.0, -1.0), "opencv": (1.0, 1.0, 1.0)}


def unit_normals(outputs: np.ndarray) -> np.ndarray:
    """Normals of outputs (..., 3), as the original normalises them: a little shorter than 1."""
    return outputs / (np.linalg.norm(outputs, axis=-1, keepdims=True) + _EPSILON)


def normalised(depth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Depth as 0 (nearest) to 1 within a mask, 0 outside; 0 everywhere where it is constant.

    Args:
        depth: Shape (H, W); smaller is nearer.
        mask: Shape (H, W), bool.
    """
    out = np.zeros(depth.shape, np.float32)
    if mask.any():
        low, high = float(depth[mask].min()), float(depth[mask].max())
        if high > low:
            out[mask] = (depth[mask] - low) / (high - low)
    return out


def depth_picture(depth: np.ndarray, mask: np.ndarray, background: int = 0) -> np.ndarray:
    """Inferno colours of 1 - normalised depth, near bright; shape (H, W, 3), uint8, RGB."""
    grey = np.rint((1 - normalised(depth, mask)) * 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    picture[~mask] = background
    return picture


def normal_picture(normals: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Colours of unit normals, -1 to 1 on 0 to 255, black outside; shape (H, W, 3), uint8, RGB."""
    shown = np.where(mask[..., None], normals, -1.0)
    return np.clip((shown + 1) / 2 * 255, 0, 255).astype(np.uint8)
