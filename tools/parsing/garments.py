"""Where the subject's clothes end: hems of trousers and sleeves, found by colour along the limbs."""

from __future__ import annotations

import numpy as np

from model_zoo.body.smpl import SmplModel
from workflow.conventions import PARSING_LABELS, SMPL_JOINTS

_LABEL = {name: index for index, name in enumerate(PARSING_LABELS)}
_STEPS = 24  # places along a limb at which a hem is tried
_CLEAR = 6.0  # CIELAB units by which cloth and skin must differ for colour to decide


def dressed(
    model: SmplModel, labels: np.ndarray, patches: np.ndarray, colour: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Labels of the body with its hems moved to where the clip shows them.

    Along each limb the colour of the patches is compared with the subject's skin (face and hands) and cloth (chest,
    hips); the hem is put where that explains the colours best, for both sides together.

    Args:
        model: The body.
        labels: Shape (V,), uint8, of the body in its standard dress.
        patches: Shape (V,), patch of every vertex.
        colour: Shape (P, 3), CIELAB of every patch.
        known: Shape (P,), bool.

    Returns:
        Shape (V,), uint8.
    """
    out = labels.copy()
    part = model.weights.argmax(1)
    index = {name: i for i, name in enumerate(SMPL_JOINTS)}
    seen = known[patches]
    colours = colour[patches]
    hands = np.isin(part, [index["left_wrist"], index["right_wrist"], index["left_hand"], index["right_hand"]])
    skin = seen & ((labels == _LABEL["face"]) | hands)
    if skin.sum() < 20:
        return out
    tone = np.median(colours[skin], axis=0)
    limbs = (
        ("shoulder", "elbow", "wrist", _LABEL["upper-clothes"], "arm", np.array([index["spine2"], index["spine3"]])),
        ("hip", "knee", "ankle", _LABEL["pants"], "leg", np.array([index["pelvis"]])),
    )
    for upper, middle, lower, cloth, limb, core in limbs:
        trunk = seen & np.isin(part, core) & (labels == cloth)
        if trunk.sum() < 20:
            continue
        fabric = np.median(colours[trunk], axis=0)
        if np.linalg.norm(fabric - tone) < _CLEAR:
            continue
        along, members = {}, {}
        for side in ("left", "right"):
            a, b, c = (model.joints_template[index[f"{side}_{name}"]] for name in (upper, middle, lower))
            on = np.isin(part, [index[f"{side}_{name}"] for name in (upper, middle)])
            on &= np.isin(labels, [cloth, _LABEL[f"{side} {limb}"]])
            along[side] = _along(model.v_template, a, b, c)
            members[side] = on
        votes = np.zeros(_STEPS)
        count = np.zeros(_STEPS)
        for side in ("left", "right"):
            chosen = members[side] & seen
            place = np.clip((along[side][chosen] * _STEPS).astype(int), 0, _STEPS - 1)
            gap = np.linalg.norm(colours[chosen] - tone, axis=1) - np.linalg.norm(colours[chosen] - fabric, axis=1)
            votes += np.bincount(place, weights=np.clip(gap / 10.0, -1, 1), minlength=_STEPS)
            count += np.bincount(place, minlength=_STEPS)
        score = np.where(count > 0, votes / np.maximum(count, 1), 0.0)  # positive where it looks like cloth
        gain = np.concatenate([[0.0], np.cumsum(score)]) - np.concatenate([np.cumsum(score[::-1])[::-1], [0.0]])
        hem = int(gain.argmax()) / _STEPS
        for side in ("left", "right"):
            inside = members[side] & (along[side] < hem)
            out[inside] = cloth
            out[members[side] & ~inside] = _LABEL[f"{side} {limb}"]
    return out


def _along(points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Place along the chain a - b - c, 0 to 1, shape (V,)."""
    first, second = np.linalg.norm(b - a), np.linalg.norm(c - b)
    upper = (points - a) @ (b - a) / first
    lower = (points - b) @ (c - b) / second
    place = np.where(lower > 0, first + np.minimum(lower, second), np.minimum(upper, first))
    return np.clip(place / (first + second), 0.0, 1.0)
