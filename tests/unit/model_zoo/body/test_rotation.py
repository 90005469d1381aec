"""Rotation conversions: identities, known values, gradients."""

import math

import pytest
import torch

from model_zoo.body import rotation


def random_axis_angle(max_angle: float = math.pi - 1e-3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator, dtype=torch.float64), dim=-1)
    return axis * torch.linspace(0, max_angle, 200, dtype=torch.float64)[:, None]


def test_axis_angle_known_value():
    matrix = rotation.matrix_from_axis_angle(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    expected = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(matrix, expected, atol=1e-7, rtol=0)


def test_axis_angle_round_trip():
    axis_angle = random_axis_angle()
    back = rotation.axis_angle_from_matrix(rotation.matrix_from_axis_angle(axis_angle))
    torch.testing.assert_close(back, axis_angle, atol=1e-6, rtol=0)


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.6, -0.8, 0.0)])
def test_half_turn(axis):
    turn = math.pi * torch.tensor(axis, dtype=torch.float64)
    matrix = rotation.matrix_from_axis_angle(turn)
    again = rotation.matrix_from_axis_angle(rotation.axis_angle_from_matrix(matrix))
    torch.testing.assert_close(again, matrix, atol=1e-6, rtol=0)


def test_six_round_trip_and_orthonormal():
    matrix = rotation.matrix_from_axis_angle(random_axis_angle())
    six = rotation.six_from_matrix(matrix)
    torch.testing.assert_close(rotation.matrix_from_6d(six), matrix, atol=1e-6, rtol=0)
    stretched = rotation.matrix_from_6d(torch.cat([2 * six[:, :3], six[:, 3:] + 0.3 * six[:, :3]], -1))
    torch.testing.assert_close(stretched, matrix, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(stretched), torch.ones(200, dtype=torch.float64), atol=1e-9, rtol=0)


def test_gradients_are_finite_at_no_rotation():
    zero = torch.zeros(2, 3, requires_grad=True)
    matrix = rotation.matrix_from_axis_angle(zero)
    matrix[0, 2, 1].backward()
    assert torch.isfinite(zero.grad).all()
    assert zero.grad[0, 0] == pytest.approx(1.0, abs=1e-3)
    identity = torch.eye(3).requires_grad_()
    rotation.axis_angle_from_matrix(identity).sum().backward()
    assert torch.isfinite(identity.grad).all()


def test_gradcheck():
    generator = torch.Generator().manual_seed(1)
    axis_angle = torch.randn(3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation.matrix_from_axis_angle, axis_angle)
    six = torch.randn(3, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation.matrix_from_6d, six)
