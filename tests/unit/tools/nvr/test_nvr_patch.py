"""Patch sampler, palette, parts and paths at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from model_zoo.canonical.palette import labels_of_colours, labels_of_palette, voc_palette
from model_zoo.canonical.parts import part_index
from tests import nvr_example
from tools.nvr.layout import frame_number, mask_paths, names_of
from tools.nvr.patch import random_patch, subject_crop, training_patch
from tools.nvr.root import annots_images, read_labels
from workflow.errors import ToolError


@pytest.mark.parametrize("size", [(5, 9), (30, 30), (64, 40), (65, 80)])
def test_patches_stay_inside(size):
    mask = np.zeros(size, np.uint8)
    mask[0, 0] = mask[-1, -1] = mask[0, -1] = 1
    for seed in range(20):
        patch = random_patch(mask, 64, np.random.RandomState(seed))
        assert patch.x >= 0 and patch.y >= 0 and patch.width == patch.height >= 1
        assert patch.x + patch.width <= size[1] and patch.y + patch.height <= size[0]


def test_sides_for_a_large_picture_are_56_or_64():
    mask = np.ones((200, 200), np.uint8)
    found = {random_patch(mask, 64, np.random.RandomState(seed)).width for seed in range(40)}
    assert found == {56, 64}


def test_crop_has_room_is_widened_and_stays_inside():
    mask = np.zeros((300, 400), np.uint8)
    mask[50:250, 180:250] = 1  # 70 x 200: higher than 1.5 times its width
    crop = subject_crop(mask, (300, 400), 64)
    assert (crop.y, crop.height) == (40, 220)
    assert crop.width == 90 + 2 * ((int(220 / 1.5) - 90) // 2) and crop.x == 170 - (146 - 90) // 2
    assert subject_crop(mask[:, 190:], (300, 210), 64) is None  # 60 px wide


def test_the_rim_is_no_middle_and_an_empty_focus_is_not_used():
    mask = np.full((100, 100), 100, np.uint8)
    mask[90, 90] = 1
    patch = training_patch(mask, np.zeros_like(mask), 16, np.random.RandomState(0))
    assert patch.x <= 90 < patch.x + patch.width and patch.y <= 90 < patch.y + patch.height


def test_palette_is_that_of_the_definition():
    assert [tuple(map(int, row)) for row in voc_palette()[:5]] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128),
    ]  # fmt: skip
    assert all(tuple(map(int, row)) == nvr_example.colour(label) for label, row in enumerate(voc_palette()))


def test_labels_of_every_colour():
    rng = np.random.RandomState(0)
    picture = rng.randint(0, 256, (40, 50, 3)).astype(np.uint8)
    picture[:20] = rng.choice([0, 64, 128, 192], (20, 50, 3))
    picture[0, :24] = voc_palette(24)
    wanted = np.zeros((40, 50), np.uint8)
    for label in range(20):
        wanted[(picture == nvr_example.colour(label)).all(-1)] = label
    assert np.array_equal(labels_of_colours(picture), wanted) and wanted.max() == 19
    assert labels_of_palette(voc_palette()[::-1])[[255, 254, 236, 235, 0]].tolist() == [0, 1, 19, 0, 0]


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA"])
def test_masks_of_all_modes_read_alike(tmp_path, mode):
    labels = np.random.RandomState(1).randint(0, 20, (9, 7)).astype(np.uint8)
    nvr_example.write_labels(tmp_path / "a.png", labels, mode)
    assert np.array_equal(read_labels(tmp_path / "a.png"), labels)


def test_a_body_without_a_head_is_refused():
    with pytest.raises(ValueError, match="no vertex belongs to head, rarm"):
        part_index(np.eye(24)[[0, 1, 16]])


def test_only_the_folder_called_images_is_replaced():
    assert mask_paths("images/images_2/000003.jpg")[0] == "schp/images_2/000003.png"
    assert mask_paths("Camera_B1/000003.jpg") == ("schp/Camera_B1/000003.png", "mask_cihp/Camera_B1/000003.png")
    assert frame_number("images/a/000012.jpg") == 12
    with pytest.raises(ToolError, match="number of its frame"):
        frame_number("images/a/first.jpg")


def test_ragged_lists_keep_their_first(tmp_path):
    ims = [{"ims": [f"images/a/{i:06d}.jpg" for i in range(j, 4)]} for j in range(4)]
    assert [entry[0] for entry in annots_images({"ims": ims}, tmp_path)] == [f"images/a/{i:06d}.jpg" for i in range(4)]


def test_a_folder_that_is_no_data_root_is_told(tmp_path):
    with pytest.raises(ToolError, match="smpl_params"):
        names_of(tmp_path)
