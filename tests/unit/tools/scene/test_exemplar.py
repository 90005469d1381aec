import cv2
import numpy as np
import pytest

from tools.scene import exemplar
from tools.scene.exemplar import complete


def checks(height=120, width=160):
    """A wall with stripes over a floor with two rows of tiles."""
    y, x = np.mgrid[:height, :width]
    wall = np.where(x // 8 % 2, 170, 200)
    floor = np.where((x // 10 + (y > 90)) % 2, 60, 140)
    grey = np.where(y < 70, wall, floor)
    grey = np.where((y >= 66) & (y < 70), 240, grey)  # a skirting board
    return np.stack([grey, grey - 20, grey // 2], -1).astype(np.uint8)


def person(height=120, width=160):
    hole = np.zeros((height, width), bool)
    hole[20:110, 64:92] = True
    return hole


def error(picture, hole):
    return np.abs(picture.astype(float) - checks())[hole].mean()


def test_walls_and_floors_go_on_behind_a_person():
    hole = person()
    rgb = checks()
    rgb[hole] = (255, 0, 255)
    filled = complete(rgb, hole)
    np.testing.assert_array_equal(filled[~hole], rgb[~hole])
    smeared = cv2.inpaint(rgb, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    assert error(filled, hole) < 6 < 15 < error(smeared, hole)


def test_what_is_under_the_hole_does_not_matter_and_every_run_is_alike():
    hole, first, second = person(), checks(), checks()
    first[hole], second[hole] = 0, 255
    np.testing.assert_array_equal(complete(first, hole), complete(second, hole))


@pytest.mark.parametrize("shape", [(5, 7), (40, 300), (300, 20)])
def test_pictures_of_any_size(shape):
    rgb = np.full((*shape, 3), 90, np.uint8)
    hole = np.zeros(shape, bool)
    hole[1:-1, shape[1] // 3 : shape[1] // 2 + 1] = True
    rgb[hole] = 7
    assert np.abs(complete(rgb, hole).astype(int) - 90).max() <= 2


def test_nothing_known_is_no_crash():
    rgb = checks()
    hole = np.ones(rgb.shape[:2], bool)
    hole[:3, :3] = False
    np.testing.assert_array_equal(complete(rgb, hole)[:3, :3], rgb[:3, :3])


def test_a_hole_at_the_border_and_rows_without_anything_known():
    rgb = checks()
    hole = np.zeros(rgb.shape[:2], bool)
    hole[80:, :] = True
    filled = complete(rgb, hole)
    np.testing.assert_array_equal(filled[~hole], rgb[~hole])
    assert filled[hole].std() > 10


def test_nearest_patches_are_those_of_an_exhaustive_search():
    rng = np.random.default_rng(0)
    lab = rng.uniform(0, 100, (26, 30, 3)).astype(np.float32)
    hole = np.zeros((26, 30), bool)
    hole[11:14, 14:17] = True
    level = exemplar._Level(lab, hole, 1)
    tried = exemplar._upright(26, 30)
    offsets, cost = exemplar._nearest(level, tried)
    sources, half = exemplar._sources(hole), exemplar._PATCH_px // 2
    targets = np.argwhere(exemplar._targets(hole))
    for y, x in targets[:: len(targets) // 12]:
        own = lab[y - half : y + half + 1, x - half : x + half + 1]
        costs = {}
        for dx, dy in tried:
            v, u = y + dy, x + dx
            if 0 <= v < 26 and 0 <= u < 30 and sources[v, u]:
                other = lab[v - half : v + half + 1, u - half : u + half + 1]
                aside = exemplar._ASIDE_COST * min(abs(dx), abs(dy))
                costs[dx, dy] = ((own - other) ** 2).sum(-1).mean() + aside
        assert cost[y, x] == pytest.approx(min(costs.values()), rel=1e-4)
        assert costs[tuple(offsets[y, x])] == pytest.approx(min(costs.values()), rel=1e-4)
