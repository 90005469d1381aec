"""The noise process: variances, noising, what the network predicts, and one step back (DDIM)."""

from __future__ import annotations

import torch
from torch import Tensor

from model_zoo.diffusion.config import MimoConfig


def linear_betas(timesteps: int, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """Variances that grow linearly (Ho et al., NeurIPS 2020), for 1000 steps; other counts keep the whole process.

    Returns:
        Shape (timesteps,), float64.
    """
    scale = 1000 / timesteps
    return torch.linspace(scale * start, scale * end, timesteps, dtype=torch.float64)


def scaled_linear_betas(timesteps: int, start: float = 0.00085, end: float = 0.012) -> Tensor:
    """Variances whose square roots grow linearly (Stable Diffusion).

    Returns:
        Shape (timesteps,), float64.
    """
    return torch.linspace(start**0.5, end**0.5, timesteps, dtype=torch.float64) ** 2


def zero_terminal_snr(alpha_bars: Tensor) -> Tensor:
    """Shift and scale the signal so that nothing of it is left at the last step (Lin et al., WACV 2024, algorithm 1).

    Args:
        alpha_bars: Shape (T,), share of the signal's variance.

    Returns:
        Same shape; first value kept, last value 0.
    """
    root = alpha_bars.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    return ((root - last) * first / (first - last)) ** 2


class NoiseSchedule:
    """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise, and its inverses. Holds no weights."""

    def __init__(self, config: MimoConfig) -> None:
        """Tabulate the process of a configuration."""
        make = {"linear": linear_betas, "scaled_linear": scaled_linear_betas}[config.schedule]
        given = {"start": config.beta_start, "end": config.beta_end}
        given = {name: value for name, value in given.items() if value is not None}
        alpha_bars = torch.cumprod(1 - make(config.timesteps, **given), 0)
        if config.zero_terminal_snr:
            alpha_bars = zero_terminal_snr(alpha_bars)
        self.alpha_bars = alpha_bars
        self.prediction = config.prediction
        self.spacing = config.spacing

    def _roots(self, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = self.alpha_bars.to(timestep.device)[timestep]
        shape = (-1,) + (1,) * (like.ndim - 1)
        return (
            alpha_bar.sqrt().to(like.dtype).reshape(shape),
            (1 - alpha_bar).sqrt().to(like.dtype).reshape(shape),
        )

    def add_noise(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Noised sample.

        Args:
            clean: Shape (B, ...).
            noise: Same shape, standard normal.
            timestep: Shape (B,), int64.
        """
        signal, sigma = self._roots(timestep, clean)
        return signal * clean + sigma * noise

    def target(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """What the network should answer: the noise, or v = signal * noise - sigma * clean (Salimans, Ho 2022)."""
        if self.prediction == "epsilon":
            return noise
        signal, sigma = self._roots(timestep, clean)
        return signal * noise - sigma * clean

    def clean_and_noise(self, answer: Tensor, noised: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """The sample and the noise that an answer of the network stands for; both shape (B, ...)."""
        signal, sigma = self._roots(timestep, noised)
        if self.prediction == "epsilon":
            return (noised - sigma * answer) / signal, answer
        return signal * noised - sigma * answer, signal * answer + sigma * noised

    def relative(self, noised: Tensor, timestep: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
        """What a noised sample says beyond a prior, at unit variance: the network's input that goes with `around`.

        Args:
            noised: Shape (B, ...).
            timestep: Shape (B,), int64.
            mean: Same shape as `noised`, the prior's mean of the clean sample.
            spread: Shape (B,), its standard deviation.
        """
        signal, sigma = self._roots(timestep, noised)
        variance = spread.to(noised.dtype).reshape(signal.shape) ** 2
        return (noised - signal * mean) / (variance * signal**2 + sigma**2).sqrt()

    def around(self, answer: Tensor, noised: Tensor, timestep: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
        """The v that an answer relative to a prior stands for.

        If clean samples are normal with a known mean and spread s, the best guess of the clean sample is
        mean + s^2 signal / (s^2 signal^2 + sigma^2) (noised - signal mean), and what is left of v has the standard
        deviation s / sqrt(s^2 signal^2 + sigma^2). The network's answer counts in units of that (preconditioning as in
        Karras et al., NeurIPS 2022, about a mean that is not zero). Mean 0 and spread 1 leave the answer as it is.

        Args:
            answer: Shape (B, ...), the network's output.
            noised: Same shape.
            timestep: Shape (B,), int64.
            mean: Same shape as `answer`.
            spread: Shape (B,), above 0.
        """
        signal, sigma = self._roots(timestep, noised)
        variance = spread.to(noised.dtype).reshape(signal.shape) ** 2
        total = variance * signal**2 + sigma**2
        guess = (sigma * signal * (1 - variance) * noised - sigma * mean) / total
        return guess + (variance / total).sqrt() * answer

    def timesteps(self, steps: int) -> list[int]:
        """Steps of the sampler from noise to picture.

        "trailing" starts at the very last step, "leading" (with the offset of one that Stable Diffusion uses) does not.
        """
        total = len(self.alpha_bars)
        if not 1 <= steps <= total:
            raise ValueError(f"cannot take {steps} sampling steps, the process has {total}")
        if self.spacing == "trailing":
            return [round(total - i * total / steps) - 1 for i in range(steps)]
        return [min(i * (total // steps) + 1, total - 1) for i in reversed(range(steps))]

    def step_back(self, answer: Tensor, noised: Tensor, timestep: int, earlier: int) -> Tensor:
        """One deterministic DDIM step (Song et al., ICLR 2021, eq. 12 with eta = 0).

        Args:
            answer: The network's answer, shape (B, ...).
            noised: Sample at `timestep`, same shape.
            timestep: Where the sample is.
            earlier: Where it goes; -1 for the clean sample.
        """
        here = torch.full((len(noised),), timestep, dtype=torch.int64, device=noised.device)
        clean, noise = self.clean_and_noise(answer, noised, here)
        if earlier < 0:
            return clean
        return self.add_noise(clean, noise, torch.full_like(here, earlier))
