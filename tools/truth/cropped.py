"""Pictures of the source in the crop's pixels, without mixing values."""

from __future__ import annotations

import numpy as np


def nearest(picture: np.ndarray, crop_from_source: np.ndarray, height: int, width: int) -> np.ndarray:
    """The pixel of the source that lies nearest to each of the crop; 0 outside of the source.

    Args:
        picture: Shape (H, W, ...).
        crop_from_source: Shape (3, 3), axis-aligned.
        height: Of the crop, px.
        width: Of the crop, px.

    Returns:
        Shape (height, width, ...).
    """
    rows = np.rint((np.arange(height) - crop_from_source[1, 2]) / crop_from_source[1, 1]).astype(int)
    columns = np.rint((np.arange(width) - crop_from_source[0, 2]) / crop_from_source[0, 0]).astype(int)
    in_rows = (rows >= 0) & (rows < picture.shape[0])
    in_columns = (columns >= 0) & (columns < picture.shape[1])
    out = np.zeros((height, width, *picture.shape[2:]), picture.dtype)
    out[np.ix_(in_rows, in_columns)] = picture[np.ix_(rows[in_rows], columns[in_columns])]
    return out
