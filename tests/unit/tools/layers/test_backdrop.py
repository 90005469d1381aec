import numpy as np

from tools.layers.backdrop import View, backdrop

WALL = np.random.default_rng(0).integers(60, 250, (12, 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def views(moves=0, count=8):
    """Windows of 96 x 96 px that follow somebody along a wall."""
    found = []
    for t in range(count):
        left = 8 * t
        rgb = WALL[:, left + moves * t : left + moves * t + 96][:, :96].copy()
        rgb = np.pad(rgb, ((0, 0), (0, 96 - rgb.shape[1]), (0, 0)), mode="edge")
        free = np.ones((96, 96), bool)
        rgb[20:80, 40:56], free[16:84, 36:60] = 0, False
        matrix = np.eye(3)
        matrix[0, 2] = -left
        found.append(View(rgb, free, matrix))
    return found


def test_the_wall_is_put_together_behind_who_walks():
    scene = backdrop(views())
    assert scene.known.mean() > 0.5
    assert np.abs(scene.rgb[scene.known].astype(int) - WALL[:, : scene.rgb.shape[1]][scene.known]).max() <= 1


def test_a_moving_camera_has_none():
    assert backdrop(views(moves=5)) is None


def test_only_what_is_new_differs():
    scene = backdrop(views())
    picture = views()[0].rgb.copy()
    picture[:12] = 255 - picture[:12]
    changed, known = scene.compare(picture, np.eye(3))
    assert changed[:10][known[:10]].mean() > 0.8 and not changed[84:][known[84:]].any()
