import numpy as np
import pytest

from tests.unit.tools.body.doll_clips import MIRRORED, SIZE, change, make_clip
from tools.body.observations import exchanged_frames, observe

CENTRE = ((SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2)
FOCAL = 1.2 * min(SIZE)


def test_exchanged_frames_are_found_and_long_ones_are_not(doll):
    xy = make_clip(doll, 30, noise=0).keypoints.xy[:, :17].astype(float)
    body = MIRRORED[:17]
    xy[8], xy[20:22] = xy[8][body], xy[20:22][:, body]
    seen, usable = np.ones((30, 17), bool), np.ones(30, bool)
    found = exchanged_frames(xy, seen, usable, longest=4)
    assert np.flatnonzero(found).tolist() == [8, 20, 21]
    xy[23:30] = xy[23:30][:, body]
    assert np.flatnonzero(exchanged_frames(xy, seen, usable, longest=4)).tolist() == [8, 20, 21]


def test_exchange_is_undone(doll):
    clean = make_clip(doll, 15, noise=0)
    xy, xyz = clean.keypoints.xy.copy(), clean.keypoints.xyz.copy()
    xy[6, :23], xyz[6, :23] = xy[6, :23][MIRRORED], xyz[6, :23][MIRRORED]
    mended = observe(change(clean, xy=xy, xyz=xyz).keypoints, FOCAL, CENTRE, clean.fps)
    expected = observe(clean.keypoints, FOCAL, CENTRE, clean.fps)
    np.testing.assert_array_equal(mended.xy_TP2, expected.xy_TP2)
    np.testing.assert_array_equal(mended.xyz_TP3, expected.xyz_TP3)


@pytest.mark.parametrize("aside", [0.0, 1.5])
def test_landmarks_are_turned_from_the_line_of_sight_to_the_camera(doll, aside):
    clip = make_clip(doll, 5, noise=0, aside=aside)
    seen = observe(clip.keypoints, FOCAL, CENTRE, clip.fps)
    shoulder_to_wrist = (seen.xyz_TP3[:, 9] - seen.xyz_TP3[:, 5]).numpy()
    truth = clip.joints[:, 20] - clip.joints[:, 16]
    assert np.abs(shoulder_to_wrist - truth).max() < 0.06  # keypoint and joint of the shoulder differ by 5 cm


def test_frames_with_few_joints_are_not_usable(doll):
    clip = make_clip(doll, 5, noise=0)
    confidence = clip.keypoints.confidence.copy()
    confidence[2] = 0
    confidence[3, 3:] = 0.1
    seen = observe(change(clip, confidence=confidence).keypoints, FOCAL, CENTRE, clip.fps)
    assert seen.usable_T.tolist() == [True, True, False, False, True]
    assert float(seen.weight_TP[2:4].max()) == 0
    assert float(seen.xyz_weight_TP[2:4].max()) == 0


def lean_of(clip):
    """How far the landmarks say that the shoulders lean from the ankles towards the camera, rad."""
    xyz = observe(clip.keypoints, FOCAL, CENTRE, clip.fps).xyz_TP3.numpy()
    up = xyz[:, [5, 6]].mean(1) - xyz[:, [15, 16]].mean(1)
    return float(np.median(np.arctan2(-up[:, 2], -up[:, 1])))


def test_people_who_lean_with_all_their_frames_are_partly_set_upright(doll):
    straight, leaning = (lean_of(make_clip(doll, 9, noise=0, lean=lean)) for lean in (0.14, 0.27))
    assert 0.14 < leaning < 0.23 and abs(straight - 0.14) < 0.04
    steep = lean_of(make_clip(doll, 9, noise=0, lean=0.6))  # the camera may well look down
    assert 0.45 < steep < 0.6
    lying = lean_of(make_clip(doll, 9, noise=0, lean=1.4))
    assert lying > 1.3
