"""Short videos while a model is trained: what it makes of one window, beside the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipArrays, ClipBatch, collate, to_pictures
from model_zoo.diffusion.posing import Poser
from model_zoo.diffusion.sampling import sample
from tools import mp4
from tools.train.data import Windows
from workflow.store import replacing

STEPS = 20  # denoising steps
_VIDEO_PX = 256  # smaller videos are enlarged to at least this height


@torch.no_grad()
def drawn(model: MimoModel, poser: Poser, known: ClipBatch, guidance: float, steps: int = STEPS) -> np.ndarray:
    """Frames sampled with the conditions of a clip (a batch of one), without its occluders put back.

    Returns:
        Shape (T, H, W, 3), uint8.
    """
    vertices = poser(known.betas, known.pose, known.transl)
    conditions = model.conditions(known.scene, known.occluder, vertices, poser.faces, known.intrinsics, known.reference)
    generator = torch.Generator().manual_seed(0)
    latents = sample(model, conditions, steps=steps, guidance=guidance, generator=generator)
    return to_pictures(model.latents.decode(latents)[0])


class Snapshots:
    """One fixed window, drawn again and again into `<folder>/step-<step>.mp4`: the result left, the source right."""

    def __init__(self, windows: Windows, folder: Path, guidance: float) -> None:
        """Choose the first window that `windows` gives."""
        self._windows, self._pick = windows, windows.draw(0, 0, 0)
        self._folder, self._guidance = folder, guidance

    def draw(self, model: MimoModel, poser: Poser, step: int, device: torch.device) -> Path:
        """Write the video of a step."""
        arrays: ClipArrays = self._windows.load(self._pick, model.config)
        known = collate([arrays], device)
        result = drawn(model, poser, known, self._guidance)
        both = np.concatenate([result, to_pictures(known.video[0])], 2)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{step:08d}.mp4"
        with replacing(path) as partial:
            mp4.write(mp4.enlarged(both, _VIDEO_PX), self._windows.sources[self._pick.number].clip.fps, partial)
        return path
