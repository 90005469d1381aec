"""What every quality figure means, so that a curator can decide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from model_zoo.metrics.quality import FIGURES as AGREEMENT
from workflow.shard import JUDGES


@dataclass(frozen=True)
class Figure:
    """A quality figure.

    Attributes:
        unit: Unit; "%" for shares, which are stored as 0 to 1.
        about: One line.
        below: Worth a look where the value is smaller. A hint, not a verdict.
        above: Worth a look where the value is larger.
    """

    unit: str
    about: str
    below: float = -math.inf
    above: float = math.inf

    def is_odd(self, value: float) -> bool:
        """Whether a value is worth a look."""
        return value < self.below or value > self.above

    @property
    def hint(self) -> str:
        """When to look, in words; empty where there is no such rule."""
        told = [f"below {shown(self.below, self.unit)}"] if math.isfinite(self.below) else []
        told += [f"above {shown(self.above, self.unit)}"] if math.isfinite(self.above) else []
        return " or ".join(told)


_SHARE = "%"
UNKNOWN = Figure("", "")

# The order in which stages are told: the whole first, then as the pipeline runs.
_ORDER = ("shards", "frames", *JUDGES)

_OF_ALL_STAGES = {
    "shards.valid_share": Figure(_SHARE, "Frames for which every stage vouches.", below=0.9),
    **{
        f"shards.{stage}_valid_share": Figure(_SHARE, f"Frames for which the stage {stage} vouches.")
        for stage in JUDGES
    },
    "shards.reprojection_error": Figure("px", "Distance of the body's joints from the keypoints, in source pixels."),
    "shards.keypoint_confidence": Figure("", "Mean confidence of the 17 body joints, over valid frames."),
    "shards.human_area": Figure(_SHARE, "Part of the crop that is the subject, over valid frames."),
    "shards.occluder_area": Figure(_SHARE, "Part of the crop that stands in front of the subject."),
    "shards.scene_other_frame": Figure(_SHARE, "Part of the scene that was seen in another frame."),
    "shards.scene_inpainted": Figure(_SHARE, "Part of the scene that no frame shows: invented."),
}

FIGURES = {
    **_OF_ALL_STAGES,
    **{
        f"shards.{name}": Figure(meaning.unit, f"{meaning.about[0].upper()}{meaning.about[1:]}.")
        for name, meaning in AGREEMENT.items()
    },
    "frames.decoded_share": Figure(_SHARE, "Frames of the clip that could be decoded.", below=0.98),
    "frames.tone_mapped": Figure("", "1: high dynamic range was mapped to the standard range; 0: only clipped."),
    "keypoints.valid_share": Figure(_SHARE, "Frames in which the subject was found.", below=0.9),
    "keypoints.body_confidence": Figure("", "Mean confidence of the 17 body joints, 0 to 1.", below=0.5),
    "keypoints.left_hand_share": Figure(_SHARE, "Frames in which the left hand's joints were found."),
    "keypoints.right_hand_share": Figure(_SHARE, "Frames in which the right hand's joints were found."),
    "keypoints.face_share": Figure(_SHARE, "Frames in which the face's points were found."),
    "keypoints.jitter": Figure("body sizes", "Trembling: how far joints lie off a smooth path (median).", above=0.01),
    "keypoints.jump": Figure("body sizes", "Jumps: the same, in the worst hundredth of joints and frames.", above=0.1),
    "keypoints.people": Figure("", "People who are in the clip; with more, others may cross the subject."),
    "keypoints.prominence": Figure("", "How much of the clip's attention the subject has: size, place and presence."),
    "keypoints.reacquired": Figure("", "How often the subject was lost and found again."),
    "keypoints.mended_share": Figure(_SHARE, "Joints that jumped away for a moment and were put back.", above=0.02),
    "body.reprojection_share": Figure(
        _SHARE, "Distance of the body's joints from the keypoints, as share of the body's height.", above=0.05
    ),
    "body.reprojection_error": Figure("px", "Distance of the body's joints from the keypoints."),
    "body.acceleration_mm": Figure("mm/frame\u00b2", "How abruptly the body moves: second difference of its joints."),
    "body.jerk_mm": Figure("mm/frame\u00b3", "How jerkily the body moves: third difference of its joints."),
    "body.foot_slide_mm": Figure("mm/frame", "How far the standing foot slides (only before a still camera)."),
    "body.valid_share": Figure(_SHARE, "Frames to which the body was fitted.", below=0.9),
    "parsing.valid_share": Figure(_SHARE, "Frames in which the subject was cut out.", below=0.9),
    "parsing.matte_share": Figure(_SHARE, "Part of the picture that the subject covers."),
    "parsing.silhouette_iou": Figure(_SHARE, "Overlap of the subject's mask and the body's outline.", below=0.6),
    "parsing.temporal_iou": Figure(_SHARE, "Overlap of the masks of neighbouring frames: low is flicker.", below=0.7),
    "crop.inside_share": Figure(_SHARE, "Part of the crop that lies inside the source picture.", below=0.8),
    "crop.zoom": Figure("", "Pixels of the crop per pixel of the source; above 1 enlarges.", above=2.0),
    "crop.subject_height_px": Figure("px", "Height of the subject in the crop.", below=128),
    "crop.whole_share": Figure(_SHARE, "Frames in which the whole subject is inside the crop.", below=0.8),
    "canonical.voxels_per_frame": Figure("voxels", "Size of the blend-weight grid of a frame."),
    "canonical.bigpose_voxels": Figure("voxels", "Size of the big-pose grid."),
    "canonical.uv_share": Figure(_SHARE, "Whether the body has texture positions."),
    "surface.body_share": Figure(_SHARE, "Part of the crop that the body covers."),
    "surface.facing_share": Figure(_SHARE, "Surface pixels whose normal faces the camera.", below=0.95),
    "layers.valid_share": Figure(_SHARE, "Frames split into layers.", below=0.9),
    "layers.human_share": Figure(_SHARE, "Part of the crop that is the subject."),
    "layers.occluder_share": Figure(_SHARE, "Area in front of the subject, against the subject's visible area."),
    "layers.occluded_frames": Figure(_SHARE, "Frames in which something stands in front of the subject."),
    "layers.silhouette_iou": Figure(_SHARE, "Overlap of the human layer and the body's visible outline.", below=0.6),
    "scene.observed_share": Figure(_SHARE, "Pixels of the scene that the frame itself shows."),
    "scene.other_frame_share": Figure(_SHARE, "Pixels of the scene that were seen in another frame."),
    "scene.inpainted_share": Figure(_SHARE, "Pixels of the scene that no frame shows: invented.", above=0.2),
    "scene.removed_seen_share": Figure(_SHARE, "Of what was removed, the part that another frame shows."),
    "scene.alignment_residual_px": Figure("px", "Error of the camera motion between frames.", above=1.5),
    "scene.static_camera": Figure("", "1: the camera stands still; 0: it moves."),
}


def figure(name: str) -> Figure:
    """Figure by "<stage>.<name>"; one without unit and meaning where a backend brings its own."""
    found = FIGURES.get(name)
    if found is not None:
        return found
    return Figure(_SHARE, "") if name.endswith("_share") or name.endswith("_iou") else UNKNOWN


def in_order(names: Iterable[str]) -> list[str]:
    """Names "<stage>.<name>" by stage: the whole first, then as the pipeline runs, then what is not known here."""
    places = {stage: place for place, stage in enumerate(_ORDER)}
    return sorted(names, key=lambda name: (places.get(name.partition(".")[0], len(_ORDER)), name))


def shown(value: float, unit: str) -> str:
    """A value with its unit, short."""
    if unit == _SHARE:
        return f"{100 * value:.1f} %"
    size = abs(value)
    if size >= 1000 or (size >= 100 and value == round(value)):
        text = f"{value:,.0f}"
    elif value == round(value):
        text = f"{value:.0f}"
    else:
        text = f"{value:.1f}" if size >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def spanned(low: float, high: float, unit: str) -> str:
    """A range of values, the unit told once."""
    if low == high:
        return shown(low, unit)
    bare = shown(low, unit).removesuffix(unit).rstrip()
    return f"{bare} to {shown(high, unit)}"
