"""The pictures of one moment of a clip: every layer, laid over the frame or beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from tools.page import colours
from tools.report import skeleton
from workflow.conventions import PARSING_LABELS, SCENE_OBSERVED

LAYERS = (
    "rgb",
    "scene",
    "scene_origin",
    "human",
    "occluder",
    "matte",
    "inside",
    "parsing",
    "depth",
    "normal",
    "keypoints",
)
_DIFFERENCE = 8  # of 255; smaller differences are not marked


@dataclass(frozen=True)
class Tile:
    """A picture and what is to be said of it.

    Attributes:
        picture: (h, w, 3) uint8.
        note: Short; empty where there is nothing to say.
    """

    picture: np.ndarray
    note: str = ""


def size(height: int, width: int, tile_px: int) -> tuple[int, int]:
    """Height and width of a tile: of the given height, but not larger than the picture."""
    high = min(tile_px, height)
    return high, max(round(width * high / height), 1)


def shrink(picture: np.ndarray, tile_px: int) -> np.ndarray:
    """A picture at the size of a tile."""
    high, wide = size(picture.shape[0], picture.shape[1], tile_px)
    return cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA)


def present_parts(labels: np.ndarray) -> list[int]:
    """Body part labels in a picture, without the background."""
    return [label for label in np.unique(labels).tolist() if 0 < label < len(PARSING_LABELS)]


def keypoints(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """The frame and the joints."""
    picture = shrink(moment["rgb"], tile_px)
    skeleton.draw(picture, moment["keypoints"], picture.shape[0] / moment["rgb"].shape[0])
    seen = moment["keypoints"][:, 2] >= skeleton.SEEN
    return Tile(picture, f"{int(seen.sum())} of {len(seen)} joints")


def layers(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """Human, occluder and scene, each tinted."""
    picture = moment["rgb"].copy()
    human, occluder = moment["human"], moment["occluder"]
    colours.tint(picture, ~(human | occluder), colours.SCENE, 0.45)
    colours.tint(picture, human, colours.HUMAN, 0.5)
    colours.tint(picture, occluder, colours.OCCLUDER, 0.7)
    thick = max(picture.shape[0] // tile_px, 1)
    colours.outline(picture, human, (255, 255, 255), thick)
    return Tile(shrink(picture, tile_px), f"human {human.mean():.0%}" + _share_note(", occluder", occluder))


def _share_note(label: str, mask: np.ndarray) -> str:
    return f"{label} {mask.mean():.1%}" if mask.any() else ""


def cutout(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """The human by its soft matte, on a checkerboard."""
    height, width = moment["matte"].shape
    ground = colours.checkerboard(height, width, max(height // 24, 1)).astype(np.float32)
    cover = moment["matte"][..., None].astype(np.float32) / 255
    picture = np.rint(moment["rgb"] * cover + ground * (1 - cover)).astype(np.uint8)
    return Tile(shrink(picture, tile_px))


def parts(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """Body parts over the frame in grey."""
    labels = moment["parsing"]
    picture = colours.grey(moment["rgb"], 0.75)
    where = labels > 0
    colours.tint(picture, where, colours.parts(labels[where]), 0.7)
    found = len(present_parts(labels))
    return Tile(shrink(picture, tile_px), f"{found} part" + ("" if found == 1 else "s"))


def depth(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """Distance in colours over the frame in grey; the range is that of this picture."""
    values = moment["depth"]
    where = values > 0
    picture = colours.grey(moment["rgb"], 0.5)
    if not where.any():
        return Tile(shrink(picture, tile_px), "no depth")
    near, far = float(values[where].min()), float(values[where].max())
    picture[where] = colours.depth(values[where], near, far)
    return Tile(shrink(picture, tile_px), f"{near:.2f} to {far:.2f} m" if moment["metric_depth"] else "relative")


def normals(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """Normals in the usual coding over the frame in grey, with the outline of the human layer."""
    normal = moment["normal"]
    where = normal.any(axis=-1)
    picture = colours.grey(moment["rgb"], 0.5)
    picture[where] = colours.normals(normal[where])
    colours.outline(picture, moment["human"], (255, 255, 255), max(picture.shape[0] // tile_px, 1))
    return Tile(shrink(picture, tile_px))


def scene(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """The frame without the human."""
    return Tile(shrink(moment["scene"], tile_px))


def origin(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """Where the scene's pixels come from, over the scene in grey."""
    source = moment["scene_origin"]
    picture = colours.grey(moment["scene"])
    notes = []
    for value, colour in colours.ORIGIN.items():
        colours.tint(picture, source == value, colour, 0.65)
        notes.append(f"{(source == value).mean():.0%}")
    picture[~moment["inside"] & (source == SCENE_OBSERVED)] //= 2
    return Tile(shrink(picture, tile_px), f"seen {notes[0]}, invented {notes[1]}")


def recomposed(moment: Mapping[str, np.ndarray], tile_px: int) -> Tile:
    """Human and occluder laid over the scene; where that is not the frame is marked."""
    front = moment["human"] | moment["occluder"]
    picture = np.where(front[..., None], moment["rgb"], moment["scene"])
    apart = cv2.absdiff(picture, moment["rgb"]).max(axis=-1) > _DIFFERENCE
    colours.tint(picture, apart, colours.DIFFERS, 0.8)
    return Tile(shrink(picture, tile_px), f"{apart.mean():.1%} differs")


def preview(moment: Mapping[str, np.ndarray], tile_px: int) -> np.ndarray:
    """Frame, layers and scene side by side, (h, w, 3) uint8."""
    return np.hstack([shrink(moment["rgb"], tile_px), layers(moment, tile_px).picture, scene(moment, tile_px).picture])
