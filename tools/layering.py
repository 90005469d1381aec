"""The layers of a clip, put together frame by frame from what is human and what stands in front."""

from __future__ import annotations

import numpy as np

from workflow.stages.layers import Layers

HALF = 128  # of the matte: at least half covered is human


class Layering:
    """Collects the masks of a clip, and the figures that every clip has.

    Args:
        valid: Shape (T,), bool: frames that count in the figures.
    """

    def __init__(self, valid: np.ndarray) -> None:
        self._valid = valid
        self._spools = {name: Layers.spool(name) for name in ("human", "occluder", "scene", "matte")}
        self._human: list[float] = []
        self._hidden: list[float] = []
        self._frames = 0

    def add(self, human: np.ndarray, covered: np.ndarray, matte: np.ndarray) -> None:
        """Take the next frame.

        Args:
            human: Shape (H, W), bool, without what is covered.
            covered: Shape (H, W), bool: what stands in front of the subject.
            matte: Shape (H, W), uint8.
        """
        self._spools["human"].append(human)
        self._spools["occluder"].append(covered)
        self._spools["scene"].append(~(human | covered))
        self._spools["matte"].append(np.where(covered, 0, matte).astype(np.uint8))
        if self._valid[self._frames]:
            area = float(human.sum())
            self._human.append(area / human.size)
            self._hidden.append(float(covered.sum()) / max(area, 1.0))
        self._frames += 1

    def finish(self, **figures: float) -> Layers:
        """The artifact; `figures` are those that only some clips have."""
        quality = {"valid_share": float(self._valid.mean()) if len(self._valid) else 0.0}
        if self._human:
            quality |= {
                "human_share": float(np.mean(self._human)),
                "occluder_share": float(np.mean(self._hidden)),  # of the human's visible area
                "occluded_frames": float(np.mean(np.array(self._hidden) > 0)),
            }
        masks = {name: spool.finish() for name, spool in self._spools.items()}
        return Layers(**masks, valid=self._valid, quality={**quality, **figures})
