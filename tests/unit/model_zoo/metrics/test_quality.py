"""Figures without truth, on a clip that is right and on the same clip spoilt."""

import dataclasses

import cv2
import numpy as np
import pytest

from model_zoo.metrics.quality import FIGURES, PAIRS, ClipFigures, Frame, halved, roc_auc

SIZE, FOCAL, RADIUS, DISTANCE = 128, 150.0, 0.5, 2.5
K = np.array([[FOCAL, 0, 63.5], [0, FOCAL, 63.5], [0, 0, 1.0]])


def a_frame(t, rng):
    """A ball of 0.5 m that drifts before a textured wall, with joints on a cross inside it."""
    centre = np.array([0.02 * t, 0.0, DISTANCE])
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    ray = np.stack([(columns - 63.5) / FOCAL, (rows - 63.5) / FOCAL, np.ones((SIZE, SIZE))], 2)
    a, b, c = (ray**2).sum(2), ray @ centre, centre @ centre - RADIUS**2
    root = b * b - a * c
    human = root > 0
    depth = np.where(human, (b - np.sqrt(np.maximum(root, 0))) / a, 0.0)
    normal = np.where(human[..., None], (ray * depth[..., None] - centre) / RADIUS, 0.0)
    wall = np.tile(rng.integers(0, 256, (SIZE // 4, SIZE // 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1), (1, 1, 1))
    rgb = wall.copy()
    rgb[human] = (200, 60, 60)
    joints = centre + np.stack([np.linspace(-0.3, 0.3, 24), np.linspace(-0.3, 0.3, 24) ** 2, np.zeros(24)], 1)
    pixels = joints @ K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    keypoints = np.zeros((133, 2))
    keypoints[PAIRS[:, 0]] = pixels[PAIRS[:, 1]]
    removed = cv2.dilate(human.view(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    return Frame(
        rgb, human, np.zeros_like(human), human.view(np.uint8) * np.uint8(255), wall, removed, depth, normal,
        np.ones_like(human), keypoints, np.full(133, 0.9), joints, K,
    )  # fmt: skip


@pytest.fixture(scope="module")
def clip():
    return [a_frame(t, np.random.default_rng(0)) for t in range(12)]


def measured(frames):
    counted = ClipFigures()
    for frame in frames:
        counted.add(frame)
    return counted.figures()


def test_a_right_clip_agrees_with_itself(clip):
    figures = measured(clip)
    assert set(figures) <= set(FIGURES)
    assert set(FIGURES) - set(figures) == {"depth_order"}  # there is no occluder
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["silhouette_iou"] == 1.0 and figures["keypoints_inside"] == 1.0 and figures["in_view"] == 1.0
    assert figures["reprojection"] < 1e-6 and figures["motion_gap"] < 1e-6
    assert figures["normal_depth_deg"] < 3.0
    assert figures["recomposition"] == 0.0
    assert figures["motion"] == pytest.approx(20.0) and figures["confidence"] == pytest.approx(0.9)
    assert figures["jump"] < 2 and figures["jerk_mm"] < 1e-6


def test_depth_with_the_wrong_sign_disagrees_with_the_normals(clip):
    spoilt = [dataclasses.replace(f, depth=np.where(f.depth > 0, 2 * 2.2 - f.depth, 0)) for f in clip]
    assert measured(spoilt)["normal_depth_deg"] > 20


def test_a_shifted_mask_leaves_the_surface_and_the_outline(clip):
    moved = [np.roll(f.human, 12, 1) for f in clip]
    spoilt = [dataclasses.replace(f, human=h, matte=h.view(np.uint8) * np.uint8(255)) for f, h in zip(clip, moved)]
    clean, bad = measured(clip), measured(spoilt)
    assert bad["silhouette_iou"] < 0.75
    assert bad["outline_contrast"] < clean["outline_contrast"]
    assert bad["recomposition"] > 5


def test_a_frozen_pose_moves_unlike_the_keypoints(clip):
    spoilt = [dataclasses.replace(f, joints=clip[0].joints) for f in clip]
    clean, bad = measured(clip), measured(spoilt)
    assert bad["reprojection"] > clean["reprojection"] + 0.05
    assert bad["motion_ratio"] < clean["motion_ratio"] - 1 and bad["motion_gap"] > 0.01


def test_missing_frames_are_a_jump(clip):
    assert measured(clip)["jump"] < 1.1
    assert measured([f for t, f in enumerate(clip) if t not in (5, 6, 7)])["jump"] > 2


def test_a_gap_that_is_told_is_no_jump(clip):
    frames = [dataclasses.replace(f, follows=t != 8) for t, f in enumerate(clip) if t not in (5, 6, 7)]
    assert measured(frames)["jump"] == pytest.approx(measured(clip)["jump"], rel=0.2)
    assert measured(frames)["motion"] == pytest.approx(20.0)


def test_half_the_size_says_the_same(clip):
    whole, half = measured(clip), measured([halved(frame) for frame in clip])
    for name in ("silhouette_iou", "keypoints_inside", "in_view", "reprojection", "motion_gap"):
        assert half[name] == pytest.approx(whole[name], abs=0.03), name


def test_a_smeared_scene_is_less_sharp(clip):
    spoilt = []
    for f in clip:
        scene = f.scene.copy()
        scene[f.removed] = cv2.GaussianBlur(scene, (0, 0), 4)[f.removed]
        spoilt.append(dataclasses.replace(f, scene=scene))
    assert measured(spoilt)["scene_sharpness"] < measured(clip)["scene_sharpness"] - 1


def test_an_occluder_should_have_the_body_behind_it(clip):
    def with_bar(frame, columns):
        bar = np.zeros_like(frame.human)
        bar[:, columns] = True
        return dataclasses.replace(frame, occluder=bar & (frame.depth > 0) | bar & (columns.start < 10))

    right = measured([with_bar(f, slice(60, 66)) for f in clip])
    wrong = measured([with_bar(f, slice(0, 6)) for f in clip])
    assert right["depth_order"] == 1.0 and wrong["depth_order"] == 0.0


def test_no_frames_give_no_figures():
    assert ClipFigures().figures() == {}


def test_roc_auc_is_the_chance_to_rank_right():
    assert roc_auc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert roc_auc(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5
    assert roc_auc(np.array([1.0, 4.0]), np.array([2.0, 3.0])) == 0.5
