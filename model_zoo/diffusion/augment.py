"""Changes of a window that keep its layers, its body and its camera together: mirrored, cut closer, other colours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model_zoo.body.skeleton import INDEX, JOINTS
from model_zoo.diffusion.pictures import WHOLE, ClipArrays, Framing

_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_OTHER_SIDE = {"l_": "r_", "r_": "l_"}
# Index of the joint on the other side of the body, for SMPL's 24 joints.
MIRRORED_JOINTS = tuple(INDEX[_OTHER_SIDE.get(name[:2], name[:2]) + name[2:]] for name in JOINTS)
_AXIS = np.array([1, -1, -1], np.float32)  # an axis-angle under the reflection of x


class Amounts(NamedTuple):
    """How much windows are changed.

    Attributes:
        flip: Share of windows that are mirrored.
        zoom: Largest enlargement; 1 leaves the frame whole.
        colour: Largest change of brightness, contrast and saturation, as a share.
    """

    flip: float = 0.0
    zoom: float = 1.0
    colour: float = 0.0


class Change(NamedTuple):
    """One window's change.

    Attributes:
        framing: Which part of the frame is taken.
        flip: Whether it is mirrored.
        brightness: Factor.
        contrast: Factor, around middle grey.
        saturation: Factor, around luma.
    """

    framing: Framing = WHOLE
    flip: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


NONE = Change()


def draw(rng: np.random.Generator, amounts: Amounts) -> Change:
    """A change; always takes the same number of draws, whatever the amounts."""
    share = rng.random(7)
    factors = 1 + amounts.colour * (2 * share[4:] - 1)
    return Change(
        Framing(float(1 + (amounts.zoom - 1) * share[1]), float(share[2]), float(share[3])),
        bool(share[0] < amounts.flip),
        *(float(factor) for factor in factors),
    )


def changed(sample: ClipArrays, change: Change, raster_width: int) -> ClipArrays:
    """A sample mirrored and coloured; its framing is `clip_arrays`' part.

    Args:
        sample: Of one window.
        change: What to do.
        raster_width: Columns of the raster that the intrinsics are of, px.
    """
    if change.flip:
        sample = mirrored(sample, raster_width)
    if (change.brightness, change.contrast, change.saturation) != (1.0, 1.0, 1.0):
        sample = coloured(sample, change)
    return sample


def mirrored(sample: ClipArrays, raster_width: int) -> ClipArrays:
    """The window as a mirror shows it: pictures, body and camera.

    The camera's x axis is reflected: translations change the sign of x, rotations (a, b, c) become (a, -b, -c), and
    the limbs change sides. The body is the reflected one as far as its template, its shapes and its joints are
    symmetric; the betas stay.
    """
    pose = sample.pose.reshape(-1, len(JOINTS), 3)[:, MIRRORED_JOINTS] * _AXIS
    intrinsics = sample.intrinsics.copy()
    intrinsics[:, 0, 1] *= -1
    intrinsics[:, 0, 2] = raster_width - 1 - intrinsics[:, 0, 2]
    names = ("video", "scene", "occluder", "human_mask", "occluder_mask", "reference")
    pictures = {name: np.ascontiguousarray(getattr(sample, name)[..., ::-1]) for name in names}
    return sample._replace(
        **pictures,
        pose=pose.reshape(sample.pose.shape),
        transl=sample.transl * np.array([-1, 1, 1], np.float32),
        intrinsics=intrinsics,
    )


def coloured(sample: ClipArrays, change: Change) -> ClipArrays:
    """The window in other colours: the same change for frame, scene, occluders and identity picture.

    Brightness, contrast and saturation are one affine map of colours. The occluder layer stays black where nothing
    occludes, the identity picture white around the subject.
    """
    saturate = change.saturation * np.eye(3) + (1 - change.saturation) * _LUMA
    matrix = (change.contrast * change.brightness * saturate).astype(np.float32)
    offset = np.float32((1 - change.contrast) / 2)

    def mapped(pictures: np.ndarray, cover: np.ndarray | float = 1.0) -> np.ndarray:
        """Pictures (3, ...), -1 to 1, each pixel covered by something of that colour to the share `cover`."""
        found = np.tensordot(matrix, pictures * np.float32(0.5) + np.float32(0.5), 1) + offset * np.float32(cover)
        return np.clip(found, 0, 1) * np.float32(2) - np.float32(1)

    around = (sample.reference == 1).all(0)
    return sample._replace(
        video=mapped(sample.video),
        scene=mapped(sample.scene),
        occluder=mapped(sample.occluder, sample.occluder_mask),
        reference=np.where(around, np.float32(1), mapped(sample.reference)),
    )
