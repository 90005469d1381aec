"""Levenberg-Marquardt for a chain of frames that touch at most their second neighbours, with shared unknowns.

The normal equations of a clip are block-pentadiagonal along time, bordered by the few unknowns that all frames share.
They are solved exactly by block elimination, in time and memory linear in the number of frames.

Shapes: T time, N unknowns of a frame, B shared unknowns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

_DAMPING_START = 1e-3
_DAMPING_MIN, _DAMPING_MAX = 1e-7, 1e6

S = TypeVar("S")


@dataclass
class System:
    """Normal equations `H step = -gradient`.

    Attributes:
        own_TNN: Block of a frame with itself.
        next_TNN: Block of frame t with t + 1; the last is unused.
        after_TNN: Block of frame t with t + 2; the last two are unused.
        border_TNB: Block of a frame with the shared unknowns.
        shared_BB: Block of the shared unknowns.
        gradient_TN, gradient_B: Gradient of the cost.
    """

    own_TNN: Tensor
    next_TNN: Tensor
    after_TNN: Tensor
    border_TNB: Tensor
    shared_BB: Tensor
    gradient_TN: Tensor
    gradient_B: Tensor

    @classmethod
    def zeros(cls, frames: int, unknowns: int, shared: int) -> System:
        """An empty system, float64."""

        def blank(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64)

        n, b = unknowns, shared
        return cls(
            blank(frames, n, n), blank(frames, n, n), blank(frames, n, n), blank(frames, n, b), blank(b, b),
            blank(frames, n), blank(b),
        )  # fmt: skip

    def solve(self, damping: float) -> tuple[Tensor, Tensor]:
        """Step of the frames (T, N) and of the shared unknowns (B,), diagonal enlarged by a share `damping`.

        Raises:
            torch.linalg.LinAlgError: The damped matrix is not positive definite.
        """
        frames, n = self.gradient_TN.shape
        own = self.own_TNN + torch.diag_embed(damping * self.own_TNN.diagonal(dim1=1, dim2=2) + 1e-9)
        right = torch.cat([self.gradient_TN[..., None], self.border_TNB], -1)
        odd = frames % 2
        if odd:  # a frame that does nothing makes pairs of all
            own = torch.cat([own, torch.eye(n, dtype=own.dtype)[None]])
            right = torch.cat([right, torch.zeros_like(right[:1])])
        blocks = (frames + odd) // 2
        pad = torch.zeros(3, n, n, dtype=own.dtype)
        next_ = torch.cat([self.next_TNN[: frames - 1], pad])[: frames + odd]
        after = torch.cat([self.after_TNN[: max(frames - 2, 0)], pad])[: frames + odd]
        pair = own.new_zeros(blocks, 2 * n, 2 * n)
        pair[:, :n, :n], pair[:, n:, n:] = own[0::2], own[1::2]
        pair[:, :n, n:], pair[:, n:, :n] = next_[0::2], next_[0::2].mT
        link = own.new_zeros(blocks, 2 * n, 2 * n)
        link[:, :n, :n], link[:, n:, :n], link[:, n:, n:] = after[0::2], next_[1::2], after[1::2]
        solved = _tridiagonal(pair, link, right.reshape(blocks, 2 * n, -1)).reshape(-1, n, right.shape[-1])[:frames]
        by_gradient, by_border = solved[..., 0], solved[..., 1:]
        shared = self.shared_BB + torch.diag(damping * self.shared_BB.diagonal() + 1e-9)
        schur = shared - torch.einsum("tnb,tnc->bc", self.border_TNB, by_border)
        rest = self.gradient_B - torch.einsum("tnb,tn->b", self.border_TNB, by_gradient)
        step_B = -torch.linalg.solve(schur, rest)
        return -by_gradient - by_border @ step_B, step_B


def _tridiagonal(diagonal: Tensor, upper: Tensor, right: Tensor) -> Tensor:
    """Solve a symmetric positive definite block-tridiagonal system by block Cholesky."""
    blocks = len(diagonal)
    factors: list[Tensor] = []
    links: list[Tensor] = []
    forward: list[Tensor] = []
    for k in range(blocks):
        block, value = diagonal[k], right[k]
        if k:
            block = block - links[-1].mT @ links[-1]
            value = value - links[-1].mT @ forward[-1]
        factor = torch.linalg.cholesky(block)
        factors.append(factor)
        forward.append(torch.linalg.solve_triangular(factor, value, upper=False))
        if k + 1 < blocks:
            links.append(torch.linalg.solve_triangular(factor, upper[k], upper=False))
    solution = [torch.linalg.solve_triangular(factors[-1].mT, forward[-1], upper=True)]
    for k in range(blocks - 2, -1, -1):
        value = forward[k] - links[k] @ solution[-1]
        solution.append(torch.linalg.solve_triangular(factors[k].mT, value, upper=True))
    return torch.stack(solution[::-1])


def minimise(
    state: S,
    evaluate: Callable[[S, bool], tuple[float, System | None]],
    move: Callable[[S, Tensor, Tensor], S],
    *,
    iterations: int,
    tolerance: float,
) -> tuple[S, float, int]:
    """Levenberg-Marquardt with multiplicative damping (Marquardt 1963).

    Args:
        state: Where to start.
        evaluate: Cost of a state, and its normal equations where the flag asks for them.
        move: Apply steps (T, N) and (B,) to a state.
        iterations: Most steps to take.
        tolerance: Stop when a step lowers the cost by less than this share.

    Returns:
        The best state, its cost, and the number of steps tried.
    """
    cost, system = evaluate(state, True)
    damping = _DAMPING_START
    for tried in range(1, iterations + 1):
        assert system is not None
        try:
            candidate = move(state, *system.solve(damping))
            new_cost, _ = evaluate(candidate, False)
        except torch.linalg.LinAlgError:
            new_cost = float("inf")
        if not new_cost < cost:
            damping *= 8.0
            if damping > _DAMPING_MAX:
                break
            continue
        gain = (cost - new_cost) / max(cost, 1e-12)
        state, cost = candidate, new_cost
        damping = max(damping / 5.0, _DAMPING_MIN)
        if gain < tolerance:
            break
        if tried < iterations:
            cost, system = evaluate(state, True)
    else:
        tried = iterations
    return state, cost, tried
