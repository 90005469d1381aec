import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from model_zoo.dwpose.region import region_of
from model_zoo.sapiens.pose import NAMES, decode, peaks, picture_of
from workflow.conventions import COCO_WHOLEBODY


def gaussian(points, sigma=2.0, shape=(256, 192), height=0.8):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]).astype(
        np.float32
    )


def test_peaks_are_found_below_a_pixel():
    points = np.random.default_rng(0).uniform((8, 8), (184, 248), (20, 2))
    found = peaks(gaussian(points))
    assert np.abs(found[:, :2] - points).max() < 0.02
    assert np.abs(found[:, 2] - 0.8).max() < 0.06


def test_a_peak_at_the_border_stays_near_it():
    found = peaks(gaussian([(0, 0), (191, 255), (0, 100)]))
    assert (np.abs(found[:, :2] - [(0, 0), (191, 255), (0, 100)]) < 1.0).all()


def test_flat_heatmaps_do_not_throw_joints_away():
    found = peaks(
        np.stack(
            [np.zeros((256, 192), np.float32), np.full((256, 192), -1, np.float32), np.ones((256, 192), np.float32)]
        )
    )
    assert np.isfinite(found).all()
    assert np.abs(found[:, :2]).max() <= 3.0
    assert found[:, 2].tolist() == [0, -1, 1]


def test_joints_come_back_to_the_picture():
    region = region_of(np.array([100.0, 50, 300, 450]))
    points = np.array([[96.0, 128.0], [10.25, 200.5]])
    found = decode(gaussian(points), region)
    expected = points / (192, 256) * region.scale + region.centre - region.scale / 2
    assert np.abs(found[:, :2] - expected).max() < 0.05
    assert np.abs(found[0, :2] - [200, 250]).max() < 0.05  # the middle of the box


def test_the_picture_of_a_region_reaches_from_border_to_border():
    rgb = np.zeros((400, 300, 3), np.uint8)
    rgb[:, :, 0] = np.arange(300)[None] // 2
    seen = picture_of(rgb, region_of(np.array([0, 0, 300, 400]), padding=1.0))
    assert seen.shape == (1024, 768, 3)
    assert seen[500, 0, 0] == 0 and seen[500, 384, 0] in (74, 75, 76)


def test_names_count_and_agree_with_the_conventions():
    assert {count: len(names) for count, names in NAMES.items()} == {17: 17, 133: 133, 308: 308}
    assert NAMES[133] == COCO_WHOLEBODY
    assert all(len(set(names)) == len(names) for names in NAMES.values())
    names = NAMES[308]
    assert names[41] == "right_wrist" and names[62] == "left_wrist" and names[69] == "neck"
    assert names[14] == "right_ankle" and names[63] == "left_olecranon" and names[70] == "face_0"
