"""Sizes of the model, as plain data that is saved beside its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LATENT_CHANNELS = 4
GLOBAL_SIZE = 512  # of the identity embedding and of the pooled motion
SD_LATENT_SCALE = 0.18215  # of Stable Diffusion's VAE (Rombach et al., CVPR 2022)


@dataclass(frozen=True)
class MimoConfig:
    """Everything that decides the networks' shapes and the noise process.

    Attributes:
        height: Rows of a frame, px.
        width: Columns of a frame, px.
        frames: Frames the denoiser sees at once; longer videos are made of overlapping windows.
        num_vertices: Vertices of the body model; one latent code each.
        autoencoder: "kl" (Stable Diffusion's kind, pretrained) or "patch" (closed form and a small decoder).
        vae_channels: Widths of the autoencoder; one halving of the picture between any two.
        vae_layers: Residual layers per level of the autoencoder.
        vae_groups: Groups of its normalisation.
        unet_channels: Widths of the denoiser and of the reference network; all levels attend but the last.
        unet_attention_last: Whether the last level attends too (two-level networks need it).
        unet_layers: Residual layers per level.
        unet_groups: Groups of the normalisation.
        unet_heads: Attention heads per level.
        cross_dim: Width of the identity token.
        code_dim: Width of a vertex's latent code.
        motion_channels: Widths of the pose encoder's 3D convolutions.
        motion_scale: Size of the rasterised map over the latent's size; a power of two.
        motion_temporal: Whether the pose encoder ends with attention over time.
        clip: Width, layers, heads, patch and image size of a CLIP vision tower for the global identity; empty for a
            small convolutional encoder.
        identity: How the subject is shown to the model: "crop", as it stands in a frame; "apose", re-posed through the
            body's surface; "learned", by the network `reposer`.
        reposer: TorchScript file in `model_zoo/weights`, for identity "learned".
        max_frames: Longest window the position encoding serves.
        timesteps: Steps of the noise process.
        schedule: "linear" (Ho et al., NeurIPS 2020) or "scaled_linear" (Stable Diffusion).
        beta_start: First variance of the schedule; None takes the published one.
        beta_end: Last variance of the schedule; None takes the published one.
        scene_prior: How far frames are expected to be from the scene, in standard deviations of the latents; the
            network then answers relative to the best guess this gives (`NoiseSchedule.around`). 0 expects nothing.
        zero_terminal_snr: Whether the last step is pure noise (Lin et al., WACV 2024).
        prediction: "epsilon" or "v_prediction".
        spacing: Which steps the sampler takes, "trailing" or "leading".
    """

    height: int = 64
    width: int = 64
    frames: int = 8
    num_vertices: int = 7000
    autoencoder: str = "patch"
    vae_channels: tuple[int, ...] = (16, 32, 32)
    vae_layers: int = 1
    vae_groups: int = 8
    unet_channels: tuple[int, ...] = (32, 64)
    unet_attention_last: bool = True
    unet_layers: int = 1
    unet_groups: int = 8
    unet_heads: tuple[int, ...] = (2, 4)
    cross_dim: int = 32
    code_dim: int = 16
    motion_channels: tuple[int, ...] = (32, 32)
    motion_scale: int = 2
    motion_temporal: bool = True
    clip: tuple[int, ...] = ()
    identity: str = "crop"
    reposer: str = ""
    max_frames: int = 32
    timesteps: int = 1000
    schedule: str = "scaled_linear"
    beta_start: float | None = None
    beta_end: float | None = None
    scene_prior: float = 0.0
    zero_terminal_snr: bool = True
    prediction: str = "v_prediction"
    spacing: str = "trailing"

    def __post_init__(self) -> None:
        """Check what a network would only complain about much later."""
        faults = []
        step = self.vae_factor * 2 ** (len(self.unet_channels) - 1)
        for name in ("height", "width"):
            if getattr(self, name) % step:
                faults.append(f"{name} is {getattr(self, name)} px, expected a multiple of {step}")
        if len(self.unet_heads) != len(self.unet_channels):
            faults.append(f"unet_heads has {len(self.unet_heads)} levels, unet_channels {len(self.unet_channels)}")
        if self.frames > self.max_frames:
            faults.append(f"frames is {self.frames}, at most max_frames = {self.max_frames}")
        if self.motion_scale < 1 or self.motion_scale & (self.motion_scale - 1):
            faults.append(f"motion_scale is {self.motion_scale}, expected a power of two")
        for name, choices in (
            ("autoencoder", ("kl", "patch")),
            ("identity", ("crop", "apose", "learned")),
            ("schedule", ("linear", "scaled_linear")),
            ("prediction", ("epsilon", "v_prediction")),
            ("spacing", ("trailing", "leading")),
        ):
            if getattr(self, name) not in choices:
                faults.append(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(choices)}")
        if self.zero_terminal_snr and (self.prediction == "epsilon" or self.spacing != "trailing"):
            faults.append("zero_terminal_snr needs v_prediction and trailing: pure noise tells nothing about epsilon")
        if self.scene_prior and self.prediction != "v_prediction":
            faults.append("scene_prior needs v_prediction")
        if (self.identity == "learned") != bool(self.reposer):
            faults.append("reposer names a file if and only if identity is learned")
        for width in self.vae_channels:
            if width % self.vae_groups:
                faults.append(f"vae_groups {self.vae_groups} does not divide the width {width}")
        for width in self.unet_channels:
            if width % self.unet_groups:
                faults.append(f"unet_groups {self.unet_groups} does not divide the width {width}")
        if faults:
            raise ValueError("model:\n" + "\n".join(f"  {fault}" for fault in faults))

    @property
    def vae_factor(self) -> int:
        """Pixels per latent along one side."""
        return 2 ** (len(self.vae_channels) - 1)

    @property
    def latent_size(self) -> tuple[int, int]:
        """(h, w) of a frame's latent."""
        return self.height // self.vae_factor, self.width // self.vae_factor

    @property
    def motion_size(self) -> tuple[int, int]:
        """(H, W) at which the body is rasterised."""
        return self.latent_size[0] * self.motion_scale, self.latent_size[1] * self.motion_scale

    @property
    def reference_size(self) -> tuple[int, int]:
        """(H, W) of the identity picture, a square of the frame's shorter side."""
        side = min(self.height, self.width)
        return side, side


def to_json(config: Any) -> dict[str, Any]:
    """A flat configuration dataclass as JSON data."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }


def from_json(data: Mapping[str, Any]) -> MimoConfig:
    """The configuration that `to_json` wrote.

    Raises:
        TypeError: A key is unknown.
    """
    return MimoConfig(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})


def frame_size(model: MimoConfig, height: int, width: int, pixels: int = 0) -> tuple[int, int]:
    """Size with the aspect of given frames and about as many pixels as the model's, in steps the networks can halve.

    Args:
        model: The model's sizes.
        height: Of the given frames, px.
        width: Of the given frames, px.
        pixels: About how many; 0 takes the model's height times width.
    """
    step = model.vae_factor * 2 ** (len(model.unet_channels) - 1)
    area = pixels or model.height * model.width
    rows = max(1, round((area * height / width) ** 0.5 / step))
    return rows * step, max(1, round(rows * step * width / height / step)) * step
