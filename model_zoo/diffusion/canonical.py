"""Who draws the subject's canonical picture: through the body's surface, or a learned re-poser in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import torch

from model_zoo.diffusion.apose import Reposer, View
from model_zoo.loading import torchscript

# (views, the most telling first; betas (10,); size S) to a picture (S, S, 3), uint8, the subject in A-pose on white.
Canonicalize = Callable[[Sequence[View], np.ndarray, int], np.ndarray]


def build(kind: str, body: Mapping[str, np.ndarray], reposer: Path | None) -> Canonicalize | None:
    """The re-poser that a configuration names (`MimoConfig.identity`); None where the subject is cropped as it stands.

    Args:
        kind: "crop", "apose" or "learned".
        body: Arrays of a body model file; used by "apose".
        reposer: TorchScript file; used by "learned".

    Raises:
        ValueError: The file is no such network.
    """
    if kind == "crop":
        return None
    if kind == "apose":
        return Reposer(body)
    assert reposer is not None
    return LearnedReposer(reposer)


class LearnedReposer:
    """A network `canonicalize(image, mask, pose) -> image` from a TorchScript file, on the CPU.

    It takes the most telling frame: image (1, 3, H, W), 0 to 1; mask (1, 1, H, W), 0 or 1; SMPL pose (1, 72), rad, the
    root first, camera frame. It gives (1, 3, h, w), 0 to 1, the subject in A-pose on white, of any square size.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            ValueError: It is no TorchScript network, or asks for what a network does not need.
        """
        self._path = path
        self._network = torchscript.load(path, torch.device("cpu"))

    def __call__(self, views: Sequence[View], betas: np.ndarray, size: int) -> np.ndarray:
        """Draw the subject; arguments and result as of `Reposer`.

        Raises:
            ValueError: The network does not run on such inputs, or gives something else.
        """
        if not views:
            return np.full((size, size, 3), 255, np.uint8)
        view = views[0]
        image = torch.from_numpy(view.image.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        mask = torch.from_numpy(view.human[None, None].astype(np.float32))
        pose = torch.from_numpy(np.concatenate([view.global_orient, view.body_pose])[None].astype(np.float32))
        with torch.no_grad():
            drawn = torchscript.run(lambda items: self._network(items, mask, pose), self._path, image)
        if not isinstance(drawn, torch.Tensor) or drawn.ndim != 4 or drawn.shape[:2] != (1, 3):
            found = tuple(drawn.shape) if isinstance(drawn, torch.Tensor) else type(drawn).__name__
            raise ValueError(f"{self._path}: gives {found}, expected a picture of shape (1, 3, h, w)")
        if drawn.shape[2] != drawn.shape[3] or not torch.isfinite(drawn).all():
            raise ValueError(f"{self._path}: gives {tuple(drawn.shape)}, expected a square picture of finite values")
        picture = (drawn[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        how = cv2.INTER_AREA if picture.shape[0] > size else cv2.INTER_LINEAR
        return cv2.resize(picture, (size, size), interpolation=how)
