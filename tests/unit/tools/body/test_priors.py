import pytest
import torch

from tools.body.chain import exponential
from tools.body.priors import PosePrior, twist
from workflow.conventions import SMPL_JOINTS

MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
OTHER_SIDE = [
    SMPL_JOINTS.index(n.replace("left", "?").replace("right", "left").replace("?", "right")) for n in SMPL_JOINTS
]


@pytest.fixture(scope="module")
def prior():
    return PosePrior()


def pose(**angles: tuple[float, float, float]) -> torch.Tensor:
    vectors = torch.zeros(1, 24, 3, dtype=torch.float64)
    for name, vector in angles.items():
        vectors[0, SMPL_JOINTS.index(name)] = torch.tensor(vector, dtype=torch.float64)
    return exponential(vectors)


def cost(prior, **angles) -> float:
    return float(prior(pose(**angles)).cost_T[0])


def test_gradient_matches_differences(prior):
    torch.manual_seed(1)
    rotations = exponential(0.6 * torch.randn(2, 24, 3, dtype=torch.float64))
    gradient, eps = prior(rotations).gradient_TJ3, 1e-6
    for joint in range(24):
        for axis in range(3):
            turn = torch.zeros(2, 24, 3, dtype=torch.float64)
            turn[:, joint, axis] = eps
            change = prior(exponential(turn) @ rotations).cost_T - prior(exponential(-turn) @ rotations).cost_T
            torch.testing.assert_close(gradient[:, joint, axis], change / (2 * eps), atol=1e-4, rtol=1e-5)


def test_curvature_is_symmetric_and_not_negative(prior):
    torch.manual_seed(2)
    curvature = prior(exponential(0.6 * torch.randn(2, 24, 3, dtype=torch.float64))).curvature_TJ33
    torch.testing.assert_close(curvature, curvature.mT)
    assert float(torch.linalg.eigvalsh(curvature).min()) > -1e-6


def test_left_and_right_are_treated_alike(prior):
    torch.manual_seed(3)
    rotations = exponential(0.6 * torch.randn(2, 24, 3, dtype=torch.float64))
    mirrored = MIRROR @ rotations[:, OTHER_SIDE] @ MIRROR
    torch.testing.assert_close(prior(mirrored).cost_T, prior(rotations).cost_T)


def test_joints_bend_the_way_they_can(prior):
    rest = cost(prior)
    assert cost(prior, left_knee=(1.0, 0, 0)) < rest + 3
    assert cost(prior, left_knee=(-0.6, 0, 0)) > rest + 20
    assert cost(prior, right_elbow=(0, 1.2, 0)) < rest + 3
    assert cost(prior, right_elbow=(0, -0.6, 0)) > rest + 20
    assert cost(prior, right_knee=(0.3, 0.9, 0)) > rest + 20  # twisted shin
    assert cost(prior, left_hip=(-1.2, 0, 0)) < rest + 15  # sitting
    assert cost(prior, left_hip=(1.2, 0, 0)) > rest + 30  # thigh far back


def test_hanging_arms_are_likelier_than_a_t_pose(prior):
    assert cost(prior, left_shoulder=(0, 0, -1.2), right_shoulder=(0, 0, 1.2)) < cost(prior)


def test_twist_of_a_turn_about_the_axis_is_its_angle():
    axis = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    angle, _ = twist(exponential(1.3 * axis), axis)
    assert float(angle) == pytest.approx(1.3)
    swing = exponential(torch.linalg.cross(axis, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)))
    angle, _ = twist(swing @ exponential(-0.4 * axis), axis)
    assert float(angle) == pytest.approx(-0.4)
