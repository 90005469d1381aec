"""Identity pictures of clips: the subject cropped as it stands, or re-posed once per clip and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from model_zoo.diffusion import canonical
from model_zoo.diffusion.apose import View, choose_views
from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.pictures import reference_picture, signed_picture
from workflow import layout
from workflow.errors import ToolError
from workflow.shard import FRAME_FIGURES
from workflow.shard_reader import Clip, Shard

_KEPT_BYTES = 256 << 20  # of pictures; the least recently used go first and are drawn again when needed
_FIGURES = tuple(FRAME_FIGURES)
_TYPICAL_ERROR_px = 2.0
_VIEW_LAYERS = ("rgb", "human", "global_orient", "body_pose", "transl", "intrinsics")


class Subjects:
    """Pictures of who is seen; threads may share an object. The same clip gives the same picture, always."""

    def __init__(self, repose: canonical.Canonicalize | None = None) -> None:
        """Use a re-poser, or crop where there is none."""
        self._repose = repose
        self._kept: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def picture(self, shard: Shard, clip: Clip, frame: int, size: tuple[int, int]) -> np.ndarray:
        """Picture of a clip's subject.

        Args:
            shard: Where the clip lies.
            clip: The clip.
            frame: Which frame shows the subject where it is cropped; a re-poser chooses its own frames.
            size: (S, S).

        Returns:
            Shape (3, S, S), float32, -1 to 1.

        Raises:
            ToolError: A learned re-poser fails.
        """
        if self._repose is None:
            shown = shard.read_window(clip, frame, 1, ("rgb", "human"))
            return reference_picture(shown["rgb"][0], shown["human"][0], size)
        key = (clip.digest, size[0])
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        if found is None:
            betas = shard.read_clip(clip, ("betas",))["betas"]
            try:
                found = self._repose(views(shard, clip), betas, size[0])
            except ValueError as error:
                raise ToolError(f"identity: {error}") from None
            with self._lock:
                self._kept[key] = found
                while len(self._kept) * found.nbytes > _KEPT_BYTES:
                    self._kept.popitem(last=False)
        return signed_picture(found)


def subjects(config: MimoConfig, body: Mapping[str, np.ndarray]) -> Subjects:
    """What the model's configuration asks for.

    Args:
        config: The model's.
        body: Arrays of the body model file.

    Raises:
        ToolError: The learned re-poser is missing or cannot be used.
    """
    path = layout.WEIGHTS / config.reposer if config.reposer else None
    if path is not None and not path.is_file():
        raise ToolError(f"identity: the re-poser {path} is not there; put it there, or set identity to apose")
    try:
        return Subjects(canonical.build(config.identity, body, path))
    except ValueError as error:
        raise ToolError(f"identity: {error}") from None


def frame_scores(shard: Shard, clip: Clip) -> np.ndarray:
    """How well each frame shows the subject, (T,), from the figures in the shard; 0 where the frame is not valid."""
    known = shard.read_window(clip, 0, clip.length, ("valid", "frame_quality"))
    area, confidence, error = (
        known["frame_quality"][:, _FIGURES.index(name)].astype(np.float64)
        for name in ("human_area", "keypoint_confidence", "reprojection_error")
    )
    return np.where(known["valid"], area * confidence / (error + _TYPICAL_ERROR_px), 0.0)


def views(shard: Shard, clip: Clip) -> list[View]:
    """The frames of a clip that together show the subject best."""
    posed = shard.read_window(clip, 0, clip.length, ("global_orient", "body_pose"))
    orient, pose = (posed[name].astype(np.float64) for name in ("global_orient", "body_pose"))
    found = []
    for frame in choose_views(frame_scores(shard, clip), orient, pose):
        shown = shard.read_window(clip, frame, 1, _VIEW_LAYERS)
        found.append(View(*(shown[name][0] for name in _VIEW_LAYERS)))
    return found
