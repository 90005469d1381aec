"""Settings of the samples, with the values and names of instant-nvr's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from model_zoo.canonical.bounds import BOX_PADDING_M
from model_zoo.canonical.parts import BOX_OVERLAP_M, SEMANTIC_LABELS


@dataclass(frozen=True)
class Settings:
    """How a sample is made.

    Attributes:
        ratio: Size of training pictures over that of the files.
        eval_ratio: The same for test samples; None takes `ratio`.
        patch_size: Largest side of a training patch, px.
        sample_focus: Semantic mask that training patches are drawn about; empty for the whole subject.
        mask_bkgd: Whether pixels that are not the subject's are blanked.
        white_bkgd: Blank them with white instead of black.
        erode_edge: Whether the rim of masks is marked 100, because it is not certain.
        evaluating: `eval` of the original: masks keep no rim.
        box_padding: Room in `wbounds`, `pbounds` and `tbounds`, m.
        bbox_overlap: Room in the `bounds` of parts, m.
        exact_bounds: `pbounds` and `tbounds` that the stored grids really span. The original's differ from them by up
            to a voxel, so its networks sample the grids stretched by up to 1 %.
        begin_ith_frame: First frame, counted in the recording's list.
        num_train_frame: Frames of the training set; None takes all.
        frame_interval: Step between frames.
        views: Cameras; None takes camera 0.
        seed: Of the training patches. None draws from numpy's global stream, as the original does; with a number,
            the patch of a sample depends on (seed, epoch, index) alone, whatever the number of workers.
    """

    ratio: float = 0.5
    eval_ratio: Optional[float] = 0.5
    patch_size: int = 64
    sample_focus: str = ""
    mask_bkgd: bool = True
    white_bkgd: bool = False
    erode_edge: bool = True
    evaluating: bool = False
    box_padding: float = BOX_PADDING_M
    bbox_overlap: float = BOX_OVERLAP_M
    exact_bounds: bool = False
    begin_ith_frame: int = 0
    num_train_frame: Optional[int] = None
    frame_interval: int = 1
    views: Optional[tuple[int, ...]] = None
    seed: Optional[int] = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: Lists every fault.
        """
        checks = (
            (self.ratio > 0, f"ratio is {self.ratio}, expected more than 0"),
            (self.eval_ratio is None or self.eval_ratio > 0, f"eval_ratio is {self.eval_ratio}, expected more than 0"),
            (self.patch_size >= 8, f"patch_size is {self.patch_size}, expected at least 8"),
            (
                self.sample_focus in ("", *SEMANTIC_LABELS),
                f"sample_focus is {self.sample_focus!r}, expected '' or one of {', '.join(SEMANTIC_LABELS)}",
            ),
            (self.begin_ith_frame >= 0, f"begin_ith_frame is {self.begin_ith_frame}, expected at least 0"),
            (self.frame_interval >= 1, f"frame_interval is {self.frame_interval}, expected at least 1"),
            (
                self.num_train_frame is None or self.num_train_frame >= 1,
                f"num_train_frame is {self.num_train_frame}, expected at least 1",
            ),
        )
        faults = [fault for fine, fault in checks if not fine]
        if faults:
            raise ValueError("; ".join(faults))

    def chosen(self, count: int) -> range:
        """Places of the chosen frames in a list of `count`: `[st : st + N * iv : iv]`."""
        end = count
        if self.num_train_frame is not None:
            end = min(count, self.begin_ith_frame + self.num_train_frame * self.frame_interval)
        return range(self.begin_ith_frame, end, self.frame_interval)
