"""Measures against values worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from model_zoo.metrics import bodies, joints, masks, pictures, surfaces


def test_pck_counts_points_within_a_share_of_the_box():
    distance = np.array([0.0, 5.0, 10.0, 10.1, np.inf])
    assert joints.pck(distance, np.full(5, 100.0), 0.1) == 3 / 5
    assert joints.pck(distance, np.full(5, 100.0), 0.05) == 2 / 5
    assert np.isnan(joints.pck(np.zeros(0), np.zeros(0), 0.1))


def test_box_size_is_the_longer_side():
    mask = np.zeros((20, 30), bool)
    mask[3:10, 5:7] = True
    assert joints.box_size(mask) == 7
    assert joints.box_size(np.zeros((4, 4), bool)) == 0


def test_groups_hold_every_point_once():
    assert sorted(sum(joints.GROUPS.values(), ())) == list(range(23))


def test_the_nearest_person_has_the_smallest_median():
    points = np.zeros((4, 2))
    people = np.stack([points + [30.0, 0], points + [3.0, 4.0]])
    fine = np.ones((2, 4), bool)
    assert joints.nearest_person(points, np.ones(4, bool), people, fine) == 1
    fine[1, :2] = False  # two points are too few to compare
    assert joints.nearest_person(points, np.ones(4, bool), people, fine) == 0
    assert joints.nearest_person(points, np.zeros(4, bool), people, fine) == -1


def test_a_switch_is_a_change_of_person_gaps_aside():
    assert joints.identity_switches(np.array([0, 0, -1, 0, 1, 1, -1, 0])) == 2
    assert joints.identity_switches(np.array([-1, -1])) == 0


def test_mpjpe_ignores_where_the_root_is():
    truth = np.zeros((1, 3, 3))
    truth[0, 1] = [0, 1, 0]
    found = truth + [5.0, 6.0, 7.0]
    found[0, 2] += [0.003, 0.004, 0]
    assert bodies.mpjpe(found, truth) == pytest.approx([5 / 3])


def test_pa_mpjpe_ignores_rotation_scale_and_shift_but_not_reflection():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(1, 24, 3))
    turned = 1.7 * truth @ Rotation.from_rotvec([0.3, -2.0, 0.4]).as_matrix().T + [1, 2, 3]
    assert bodies.pa_mpjpe(turned, truth) == pytest.approx([0.0], abs=1e-6)
    assert bodies.pa_mpjpe(truth * [-1, 1, 1], truth)[0] > 100


def test_acceleration_needs_three_valid_frames():
    truth = np.zeros((5, 2, 3))
    found = truth.copy()
    found[2, 1, 0] = 0.002  # of joint 1 only: second differences 2, -4, 2 mm, halved by the mean over two joints
    assert bodies.acceleration_error(found, truth, np.ones(5, bool)) == pytest.approx([1.0, 2.0, 1.0])
    valid = np.array([True, True, True, True, False])
    assert bodies.acceleration_error(found, truth, valid) == pytest.approx([1.0, 2.0])


def test_translation_and_vertices():
    assert bodies.translation_error(np.array([[0, 0, 2.0]]), np.array([[0, 0.3, 2.4]])) == pytest.approx([500.0])
    a, b = np.array([[0.0, 0, 0], [0, 0, 1]]), np.array([[1.0, 0, 0], [1, 0, 1.01]])
    assert bodies.pve(a, b, a[0], b[0]) == pytest.approx(5.0)


def test_a_foot_slides_only_while_it_rests():
    feet = np.zeros((4, 2, 3))
    feet[1:, 0, 0] = [0.01, 0.03, 0.06]
    contacts = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], bool)
    assert bodies.foot_slide(feet, contacts, np.ones(4, bool)) == pytest.approx([10.0, 20.0])


def test_iou():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert masks.iou(a, b) == 1 / 3
    assert masks.iou(a & False, b & False) == 1.0


def test_boundary_f_forgives_what_is_within_the_tolerance():
    truth = np.zeros((60, 60), bool)
    truth[10:40, 10:40] = True
    moved = np.roll(truth, 2, axis=1)
    assert masks.boundary_f(truth, truth) == 1.0
    assert masks.boundary_f(moved, truth, 2.0) == 1.0
    assert 0.4 < masks.boundary_f(moved, truth, 1.0) < 0.6  # top and bottom agree, the sides do not
    assert masks.boundary_f(truth & False, truth) == 0.0


def test_miou_averages_the_labels_that_occur():
    truth, found = np.array([0, 0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 1, 3, 2])
    confusion = masks.Confusion(5)
    confusion.add(found, truth)
    assert confusion.ious() == pytest.approx({0: 3 / 4, 1: 2 / 3, 2: 1 / 2})
    assert confusion.miou() == pytest.approx((3 / 4 + 2 / 3 + 1 / 2) / 3)
    assert confusion.miou(with_background=False) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_depth_measures():
    truth = np.array([1.0, 2.0, 4.0])
    assert surfaces.abs_rel(np.array([1.1, 2.0, 3.0]), truth) == pytest.approx((0.1 + 0 + 0.25) / 3)
    assert surfaces.delta1(np.array([1.2, 2.0, 3.0]), truth) == pytest.approx(2 / 3)
    assert surfaces.scale_and_shift(3 * truth - 1, truth) == pytest.approx(truth)


def test_angles():
    a = np.array([[0, 0, -1.0], [1, 0, 0], [0, 2, 0]])
    b = np.array([[0, 0, -2.0], [0, 1, 0], [0, -1, 0]])
    assert surfaces.angles_deg(a, b) == pytest.approx([0.0, 90.0, 180.0])


def test_psnr_and_ssim():
    assert pictures.psnr(255.0**2 / 1000) == pytest.approx(30.0)
    assert pictures.psnr(0.0) == 99.0
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert pictures.ssim_map(picture, picture) == pytest.approx(np.ones((32, 32)))
    flat = np.full((32, 32, 3), 100, np.uint8)
    # Without structure only the means count: (2 a b + c) / (a^2 + b^2 + c).
    c = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c) / (100**2 + 150**2 + c)
    assert pictures.ssim_map(flat, flat + np.uint8(50)) == pytest.approx(np.full((32, 32), expected))
    assert pictures.ssim_map(picture, 255 - picture).mean() < 0
