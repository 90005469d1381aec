import numpy as np
import pytest

pytest.importorskip("mediapipe", reason="mediapipe is not in this environment", exc_type=ImportError)

from tools.parsing.matting import paste, refine
from tools.parsing.segment import Region, SIDE_px, sample

BOX = (slice(60, 240), slice(120, 200))


def subject(zoom=1):
    rgb = np.full((300 * zoom, 320 * zoom, 3), (60, 120, 60), np.uint8)
    mask = np.zeros(rgb.shape[:2], bool)
    mask[60 * zoom : 240 * zoom, 120 * zoom : 200 * zoom] = True
    rgb[mask] = (180, 60, 50)
    region = Region(160.0 * zoom, 150.0 * zoom, 280.0 * zoom, 0.2)
    coarse = sample(mask.astype(np.float32), region.input_from_source, SIDE_px)
    coarse = np.clip(coarse, 0, 1).astype(np.float32)
    labels = np.where(coarse > 0.5, 5, 0).astype(np.uint8)
    half = np.linalg.inv(np.vstack([region.input_from_source, [0, 0, 1]]))
    y, x = np.mgrid[:SIDE_px, :SIDE_px]
    source_y = half[1, 0] * x + half[1, 1] * y + half[1, 2]
    labels[(labels > 0) & (source_y > 150 * zoom)] = 9
    return rgb, mask, coarse, labels, region


@pytest.mark.parametrize("zoom", [1, 4])
def test_matte_follows_the_picture(zoom):
    rgb, mask, coarse, labels, region = subject(zoom)
    box, matte, parts = refine(rgb, coarse, labels, region)
    empty = np.zeros(mask.shape, np.uint8)
    found = paste(empty, matte, box) >= 128
    assert (found & mask).sum() / (found | mask).sum() > 0.96
    named = paste(empty, parts, box)
    assert set(np.unique(named)) == {0, 5, 9}
    assert not named[~found].any()
    inner = slice(130 * zoom, 190 * zoom)
    assert (named[70 * zoom : 140 * zoom, inner] == 5).all() and (named[160 * zoom : 230 * zoom, inner] == 9).all()


def test_an_empty_mask_gives_an_empty_matte():
    rgb, _, coarse, labels, region = subject()
    _, matte, parts = refine(rgb, np.zeros_like(coarse), np.zeros_like(labels), region)
    assert not matte.any() and not parts.any()


def test_subject_at_the_border_of_the_picture():
    rgb, _, coarse, labels, region = subject()
    cut = rgb[100:, 150:]
    moved = Region(region.x - 150, region.y - 100, region.side, region.angle)
    box, matte, _ = refine(cut, coarse, labels, moved)
    assert box[0] >= 0 and box[1] >= 0 and box[2] <= cut.shape[1] and box[3] <= cut.shape[0]
    assert matte.shape == (box[3] - box[1], box[2] - box[0]) and (matte >= 128).any()
