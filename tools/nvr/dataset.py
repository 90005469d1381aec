"""instant-nvr's data stream as a torch Dataset, over its data roots and over shards, by one maker of samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch.utils.data

from tools.nvr.clip import ClipSource
from tools.nvr.item import Items
from tools.nvr.root import RootSource
from tools.nvr.settings import Settings
from tools.nvr.source import Source
from workflow.shard_reader import Shard


class NvrDataset(torch.utils.data.Dataset):
    """Samples by node name, numpy arrays and numbers; the default collation turns them into a batch of one.

    Nodes: `rgb`, `occupancy`, `mask_at_box`, `ray_o`, `ray_d`, `near`, `far`, `coord`; `H`, `W`, `R`, `Th`, `A`,
    `big_A`, `pbw`, `tbw`, `tuv`, `pbounds`, `wbounds`, `tbounds`, `frame_dim`, `latent_index`, `bw_latent_index`,
    `frame_index`, `cam_ind`; `ppts`, `wpts`, `tpts`, `sub_ppts`, `faces`, `joints`, `parents`, `weights`, `parts`,
    `part_pts`, `part_pbw`, `lengths2`, `bounds`; `msk`, `orig_msk`, `sem_mask`; `prev_geometry`, `geo_thresh`.
    Arrays that all samples share are the same objects every time: copy before writing to them.
    """

    def __init__(self, source: Source, split: str, settings: Optional[Settings] = None) -> None:
        """Take a source.

        Args:
            source: `RootSource` or `ClipSource`, made with the same settings.
            split: "train" or "test".
            settings: How samples are made.
        """
        self.settings = settings or Settings()
        self.source = source
        self.epoch = 0
        frames = self.settings.num_train_frame or len(source.views) // source.num_cameras
        self._items = Items(source, split, self.settings, frames)

    @classmethod
    def of_root(
        cls, root: Path, split: str, settings: Optional[Settings] = None, meta: Optional[Path] = None
    ) -> NvrDataset:
        """Samples of a data root; see `RootSource`."""
        settings = settings or Settings()
        return cls(RootSource(Path(root), settings, meta), split, settings)

    @classmethod
    def of_shard(
        cls,
        shard: Path,
        clip: str,
        split: str,
        settings: Optional[Settings] = None,
        body_model: Optional[Path] = None,
    ) -> NvrDataset:
        """Samples of a clip of a shard at the size of its crop (`ratio` and `eval_ratio` 1 unless given)."""
        settings = settings or replace(Settings(), ratio=1.0, eval_ratio=1.0)
        return cls(ClipSource(Shard(Path(shard)), clip, settings, body_model), split, settings)

    def set_epoch(self, epoch: int) -> None:
        """Other patches in every epoch; matters only where `seed` is a number."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of samples: frames times cameras."""
        return len(self.source.views)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Sample by its place."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        draws: Any = np.random
        if self.settings.seed is not None:
            draws = np.random.RandomState((self.settings.seed, self.epoch, index))
        return self._items.item(index, draws)
