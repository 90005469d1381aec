"""Parsing: the subject's matte and body-part labels; everybody else is background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage
from workflow.stages.body import Body
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints


@dataclass(frozen=True)
class Parsing(Artifact):
    """What of the picture is the subject. A pixel is the subject's where `matte` is at least 128."""

    name = "parsing"

    matte: Raster = raster("time height width", "uint8", codec="png", unit="1/255", frame="image")
    labels: Raster = raster("time height width", "uint8", codec="png", frame="image", bounds=(0, 19))
    valid: np.ndarray = array("time", "bool")
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class SilhouetteParams(Params):
    """MediaPipe's person segmentation, cleaned by the body's silhouette; labels from the posed body."""

    min_component_share: float = 0.02  # of the mask's area; smaller islands are dropped
    reach: float = 0.12  # how far from the body's silhouette the subject may extend, share of the box height


STAGE = Stage(
    "parsing",
    "cut out the subject and label its parts with the 20 classes of SCHP",
    inputs=(Frames, Keypoints, Body, BODY_MODEL),
    outputs=(Parsing,),
    backends={
        "silhouette": Backend(
            "keypoints-mediapipe", SilhouetteParams, Resources(threads=2, mem_mb=2_500), summary="MediaPipe and body"
        ),
    },
    default="silhouette",
)
