"""What is measured, in which unit, and what is to be reached on average over the clips."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        key: `stage.name`.
        unit: Unit; "%" for shares, kept as 0 to 1.
        about: One line.
        more_is_better: Direction.
        target: What the mean over the clips is to reach; None where nothing is asked.
    """

    key: str
    unit: str
    about: str
    more_is_better: bool
    target: float | None = None

    @property
    def stage(self) -> str:
        """Stage whose work it judges."""
        return self.key.partition(".")[0]

    def met(self, value: float) -> bool:
        """Whether the target is reached; true where there is none."""
        if self.target is None:
            return True
        return value >= self.target if self.more_is_better else value <= self.target

    def worse(self, a: float, b: float) -> bool:
        """Whether `a` is worse than `b`."""
        return a < b if self.more_is_better else a > b

    def shown(self, value: float | None) -> str:
        """A value in words."""
        if value is None:
            return ""
        if self.unit == "%":
            return f"{100 * value:.1f} %"
        return f"{value:.3g}" + (f" {self.unit}" if self.unit else "")


_SEEN = "visible body joints (COCO's 17, in view, not hidden), missing ones count as wrong"

MEASURES: tuple[Measure, ...] = (
    Measure("keypoints.pck_10", "%", f"PCK@0.1 of the box: {_SEEN}", True, 0.95),
    Measure("keypoints.pck_05", "%", f"PCK@0.05 of the box: {_SEEN}", True),
    Measure("keypoints.error_px", "px", "mean distance of found, visible body joints", False),
    *(
        Measure(f"keypoints.{group}_px", "px", f"the same, {group} only", False)
        for group in ("head", "shoulders", "elbows", "wrists", "hips", "knees", "ankles", "feet")
    ),
    Measure("keypoints.found", "%", "frames with half of the joints visible in which the subject was found", True),
    Measure("keypoints.identity_switches", "", "times the track went over to another person", False, 0.0),
    Measure("keypoints.wrong_person", "%", "frames in which the joints lie on another person", False),
    Measure("body.pa_mpjpe", "mm", "PA-MPJPE: 24 joints, after the best similarity of every frame", False, 50.0),
    Measure("body.mpjpe", "mm", "MPJPE: 24 joints, pelvis on pelvis", False, 80.0),
    Measure("body.pve", "mm", "PVE: all vertices of the undressed body, pelvis on pelvis", False),
    Measure("body.acceleration", "mm/frame\u00b2", "acceleration error, pelvis on pelvis", False, 10.0),
    Measure("body.translation", "mm", "pelvis in the camera's frame; the focal length is not told", False),
    Measure("body.depth_bias", "%", "how much too near (below 0) or far the pelvis is, mean", False),
    Measure("body.foot_slide", "mm/frame", "movement of feet that rest on the ground, in the world", False),
    Measure("parsing.iou", "%", "visible human, mean over frames that the stage calls valid", True, 0.94),
    Measure("parsing.boundary_f", "%", "F measure of the outline, 0.8 % of the diagonal", True),
    Measure("parsing.miou", "%", "mean IoU of the part labels that occur, background included", True, 0.65),
    Measure("parsing.miou_parts", "%", "the same without the background", True),
    Measure("surface.normal_mean", "deg", "normals on the visible human, mean angle", False, 18.0),
    Measure("surface.normal_median", "deg", "normals on the visible human, median angle", False),
    Measure("surface.abs_rel", "%", "AbsRel of the depth, as it is", False),
    Measure("surface.delta1", "%", "share of pixels within a factor of 1.25", True),
    Measure("surface.abs_rel_aligned", "%", "AbsRel after one scale and shift for each frame", False),
    Measure("surface.covered", "%", "part of the visible human that has depth", True),
    Measure("layers.human_iou", "%", "visible human in the crop", True),
    Measure("layers.occluder_iou", "%", "occluder, all frames of a clip that has one together", True, 0.60),
    Measure("layers.false_occluder", "%", "false occluder as share of the human, clips without one", False, 0.02),
    Measure("scene.psnr_static", "dB", "PSNR where the human was, static camera", True, 30.0),
    Measure("scene.psnr_moving", "dB", "PSNR where the human was, moving camera", True, 26.0),
    Measure("scene.psnr_other_frame", "dB", "the same, where the stage took it from another frame", True),
    Measure("scene.psnr_inpainted", "dB", "the same, where no frame shows it and the stage invented it", True),
    Measure("scene.share_inpainted", "%", "part of the human behind which the stage had to invent", False),
    Measure("scene.psnr_left", "dB", "the same, where the human was not removed", True),
    Measure("scene.share_left", "%", "part of the human that was not removed", False),
    Measure("scene.share_other_frame", "%", "part of the human behind which another frame showed the scene", True),
    Measure("scene.ssim", "", "SSIM where the human was", True),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
STAGES = tuple(dict.fromkeys(measure.stage for measure in MEASURES))
