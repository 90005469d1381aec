from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.tools.body.doll_clips import SIZE, make_clip
from tools.body.chain import FREE_JOINTS, NUM_UNKNOWNS
from tools.body.initialise import initial_state
from tools.body.objective import NUM_OBSERVED, Objective, Weights, still_feet
from tools.body.observations import observe
from workflow.conventions import SMPL_JOINTS

CENTRE = ((SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2)


@pytest.fixture(scope="module")
def problem(doll, carried):
    clip = make_clip(doll, 16, noise=1)
    points, spread = carried
    seen = observe(clip.keypoints, 1.2 * min(SIZE), CENTRE, clip.fps)
    state = initial_state(seen, points.first(NUM_OBSERVED), clip.fps)
    return clip, seen, Objective(points, spread, seen, state.transl_T3[:, 2], clip.fps, Weights()), state


def test_first_guess_is_near(problem, carried):
    clip, _, _, state = problem
    joints = carried[0].posed(state).points_TP3[:, NUM_OBSERVED : NUM_OBSERVED + 24].numpy()
    error = np.linalg.norm((joints - joints[:, :1]) - (clip.joints - clip.joints[:, :1]), axis=-1)
    assert error.mean() < 0.08
    assert np.abs(state.transl_T3.numpy() - clip.transl).mean() < 0.25


def test_gradient_by_frames_matches_differences(problem):
    _, _, objective, state = problem
    _, system = objective(state, True)
    torch.manual_seed(0)
    still, eps = torch.zeros(10, dtype=torch.float64), 1e-6
    for _ in range(4):
        step = torch.randn(16, NUM_UNKNOWNS, dtype=torch.float64)
        ahead = objective(state.moved(eps * step, still), False)[0]
        behind = objective(state.moved(-eps * step, still), False)[0]
        assert float((system.gradient_TN * step).sum()) == pytest.approx((ahead - behind) / (2 * eps), rel=1e-3)


def test_gradient_by_shape_matches_differences_without_temporal_terms(problem):
    _, _, objective, state = problem
    objective = objective.with_weights(acceleration=1e6, depth_acceleration=1e6, speed=1e6, foot_speed=1e6)
    _, system = objective(state, True)
    still, eps = torch.zeros(16, NUM_UNKNOWNS, dtype=torch.float64), 1e-5
    for k in range(10):
        step = torch.zeros(10, dtype=torch.float64)
        step[k] = eps
        change = objective(state.moved(still, step), False)[0] - objective(state.moved(still, -step), False)[0]
        assert float(system.gradient_B[k]) == pytest.approx(change / (2 * eps), rel=1e-3, abs=1e-3)


def _with_landmarks(problem, carried, xyz):
    clip, seen, _, state = problem
    changed = replace(seen, xyz_TP3=xyz)
    return Objective(*carried, changed, state.transl_T3[:, 2], clip.fps, Weights())


def test_lengths_of_landmarks_do_not_matter(problem, carried):
    _, seen, objective, state = problem
    larger = _with_landmarks(problem, carried, 1.3 * seen.xyz_TP3)
    assert larger(state, False)[0] == pytest.approx(objective(state, False)[0], rel=1e-9)
    turned = _with_landmarks(problem, carried, seen.xyz_TP3 * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    assert turned(state, False)[0] > 1.05 * objective(state, False)[0]


def test_a_trunk_that_leans_wrongly_does_not_move_the_forearms(problem, carried):
    _, seen, objective, state = problem
    leaning = seen.xyz_TP3.clone()
    leaning[:, [*range(11), *range(23, NUM_OBSERVED)], 2] -= 0.15
    elbows = [3 + 3 * FREE_JOINTS.index(SMPL_JOINTS.index(f"{side}_elbow")) for side in ("left", "right")]
    forearms = [column + axis for column in elbows for axis in range(3)]
    before, after = (o(state, True)[1].gradient_TN for o in (objective, _with_landmarks(problem, carried, leaning)))
    torch.testing.assert_close(after[:, forearms], before[:, forearms], rtol=0, atol=1e-9)
    assert float((after[:, 3:6] - before[:, 3:6]).abs().max()) > 1.0  # the trunk is turned


def test_points_behind_the_camera_cost_everything(problem):
    _, _, objective, state = problem
    step = torch.zeros(16, NUM_UNKNOWNS, dtype=torch.float64)
    step[3, 2] = -6.0
    assert objective(state.moved(step, torch.zeros(10, dtype=torch.float64)), True) == (float("inf"), None)


def test_a_foot_that_moves_is_not_still():
    across = torch.zeros(20, NUM_OBSERVED, 2, dtype=torch.float64)
    across[:, [16, 20, 22], 0] = 0.1 * torch.arange(20, dtype=torch.float64)[:, None]  # 2.5 m/s
    still = still_feet(across, torch.ones(20, NUM_OBSERVED, dtype=torch.float64), 25.0)
    assert still.shape == (19, 2)
    assert float(still[:, 0].min()) == 1.0
    assert float(still[2:-2, 1].max()) < 0.01
