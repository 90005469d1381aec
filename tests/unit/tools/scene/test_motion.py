import cv2
import numpy as np
import pytest

from tools.scene.motion import estimate, fit
from workflow.stages.parsing import Parsing


def texture(height=400, width=600, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return cv2.GaussianBlur(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 1.0)


def film(matrices, size=(240, 200), walker=True):
    """Views of a texture (frame_from_texture) in which a block walks, and its mattes."""
    world, frames, mattes = texture(), [], Parsing.spool("matte")
    for t, matrix in enumerate(matrices):
        picture = cv2.warpPerspective(world, matrix, size)
        matte = np.zeros(size[::-1], np.uint8)
        if walker:
            matte[80:160, 20 + 8 * t : 60 + 8 * t] = 255
            picture[matte > 0] = texture(seed=9)[:80, :40].reshape(-1, 3)
        frames.append(picture)
        mattes.append(matte)
    return frames, mattes.finish()


def shift(x, y):
    return np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])


def test_a_still_camera_is_recognised():
    frames, mattes = film([shift(100, 80)] * 8)
    motion = estimate(frames, mattes)
    assert motion.static
    np.testing.assert_array_equal(motion.between(0, 7), np.eye(3))


def test_a_moving_camera_is_followed():
    matrices = [np.array([[1, 0.002 * t, -100 - 6 * t], [-0.002 * t, 1, -80 - 2 * t], [0, 0, 1]]) for t in range(12)]
    frames, mattes = film(matrices)
    motion = estimate(frames, mattes)
    assert not motion.static and motion.residual_px < 0.5
    corners = np.array([[[20.0, 20.0]], [[200.0, 30.0]], [[120.0, 180.0]]])
    truth = matrices[11] @ np.linalg.inv(matrices[0])
    found = cv2.perspectiveTransform(corners, motion.between(11, 0))
    np.testing.assert_allclose(found, cv2.perspectiveTransform(corners, truth), atol=1.0)


def test_no_texture_is_a_still_camera():
    grey = [np.full((60, 80, 3), 128, np.uint8)] * 3
    mattes = Parsing.spool("matte")
    for _ in grey:
        mattes.append(np.zeros((60, 80), np.uint8))
    motion = estimate(grey, mattes.finish())
    assert motion.static and motion.residual_px == 0.0


def test_fit_with_outliers_and_with_few_points():
    rng = np.random.default_rng(0)
    origin = rng.uniform(0, 300, (60, 1, 2)).astype(np.float32)
    target = origin + np.float32([5, -3])
    target[:15] += rng.uniform(20, 60, (15, 1, 2)).astype(np.float32)
    matrix, inliers, error = fit(origin, target)
    np.testing.assert_allclose(matrix[:2, 2], [5, -3], atol=0.2)
    assert inliers.sum() == 45 and error < 0.1
    matrix, _, _ = fit(origin[20:23], target[20:23])
    np.testing.assert_allclose(matrix, shift(-5, 3), atol=1e-4)
    assert fit(origin[:0], target[:0]) is None
    assert fit(origin, target)[0] == pytest.approx(fit(origin, target)[0], abs=0)
