import pytest
import torch

from tools.body.solver import System, minimise


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 6])
def test_solve_matches_the_dense_system(frames):
    torch.manual_seed(frames)
    n, b = 3, 2
    size = frames * n + b
    root = torch.randn(size, size, dtype=torch.float64)
    dense = root @ root.T / size + 8 * torch.eye(size, dtype=torch.float64)
    frame = torch.arange(frames * n) // n
    dense[: frames * n, : frames * n][(frame[:, None] - frame[None]).abs() > 2] = 0
    gradient = torch.randn(size, dtype=torch.float64)
    system = System.zeros(frames, n, b)
    blocks = dense[: frames * n, : frames * n].reshape(frames, n, frames, n).permute(0, 2, 1, 3)
    for t in range(frames):
        system.own_TNN[t] = blocks[t, t]
        if t + 1 < frames:
            system.next_TNN[t] = blocks[t, t + 1]
        if t + 2 < frames:
            system.after_TNN[t] = blocks[t, t + 2]
    system.border_TNB += dense[: frames * n, frames * n :].reshape(frames, n, b)
    system.shared_BB += dense[frames * n :, frames * n :]
    system.gradient_TN += gradient[: frames * n].reshape(frames, n)
    system.gradient_B += gradient[frames * n :]
    step_TN, step_B = system.solve(0.0)
    expected = torch.linalg.solve(dense, -gradient)
    torch.testing.assert_close(torch.cat([step_TN.flatten(), step_B]), expected, atol=1e-8, rtol=1e-7)


def rosenbrock(state, derivatives):
    x, y = state
    residual = torch.tensor([10 * (y - x * x), 1 - x], dtype=torch.float64)
    system = None
    if derivatives:
        rows = torch.tensor([[-20 * x, 10.0], [-1.0, 0.0]], dtype=torch.float64)
        system = System.zeros(1, 2, 1)
        system.own_TNN[0] = rows.T @ rows
        system.gradient_TN[0] = rows.T @ residual
        system.shared_BB += 1.0
    return 0.5 * float(residual @ residual), system


def move(state, step_TN, step_B):
    return state[0] + float(step_TN[0, 0]), state[1] + float(step_TN[0, 1])


def test_minimise_reaches_the_minimum_of_a_curved_valley():
    (x, y), cost, steps = minimise((-1.2, 1.0), rosenbrock, move, iterations=60, tolerance=1e-12)
    assert (x, y) == pytest.approx((1, 1), abs=1e-5)
    assert cost < 1e-12
    assert steps < 60


def test_minimise_never_makes_it_worse():
    start = rosenbrock((-1.2, 1.0), False)[0]
    _, cost, steps = minimise((-1.2, 1.0), rosenbrock, move, iterations=1, tolerance=0.0)
    assert cost <= start
    assert steps == 1
