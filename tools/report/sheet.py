"""The contact sheet of a clip. Only the frames shown are decoded, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tools.page import colours, embed
from tools.report import skeleton, tiles
from workflow.conventions import PARSING_LABELS, SCENE_FROM_OTHER_FRAME, SCENE_INPAINTED
from workflow.shard import JUDGES
from workflow.shard_reader import Clip, Shard

PREVIEW_PX = 160
PREVIEW_HZ = 8.0  # pictures per second, at the speed of the clip
POSTER_PX = 96
_TILE_QUALITY, _PREVIEW_QUALITY, _POSTER_QUALITY = 65, 35, 60


@dataclass(frozen=True)
class Kind:
    """A row of the sheet.

    Attributes:
        key: Name in the page's markup.
        title: What the row is called.
        about: One sentence.
    """

    key: str
    title: str
    about: str
    draw: Callable[[Mapping[str, np.ndarray], int], tiles.Tile]


KINDS = (
    Kind("keypoints", "Keypoints", "The frame and the joints that were found.", tiles.keypoints),
    Kind("layers", "Layers", "Who is in front of what: three masks that cover the frame.", tiles.layers),
    Kind("cutout", "Human", "The human layer, cut out by its soft matte.", tiles.cutout),
    Kind("parts", "Body parts", "Labels of the human's parts.", tiles.parts),
    Kind("depth", "Body depth", "Distance of the body's surface, yellow near, violet far.", tiles.depth),
    Kind("normals", "Normals", "Directions of the body's surface; white: border of the human layer.", tiles.normals),
    Kind("scene", "Scene", "The frame without the human.", tiles.scene),
    Kind("origin", "Scene's origin", "Where the scene's pixels come from.", tiles.origin),
    Kind("recomposed", "Recomposed", "Human and occluder laid over the scene.", tiles.recomposed),
)


@dataclass(frozen=True)
class Picture:
    """A tile in the page."""

    uri: str
    alt: str
    note: str


@dataclass(frozen=True)
class Row:
    """A row of the sheet: one picture for every moment, with the colours it uses."""

    key: str
    title: str
    about: str
    legend: tuple[tuple[str, str], ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Moment:
    """A column of the sheet.

    Attributes:
        frame: Counted from the clip's first.
        time_s: From the clip's first.
        faults: Stages that do not vouch for it.
    """

    frame: int
    time_s: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """Everything pictured of a clip."""

    moments: tuple[Moment, ...]
    rows: tuple[Row, ...]
    tile_height: int
    tile_width: int
    preview: str
    poster: str


def spread(length: int, count: int) -> list[int]:
    """At most `count` frames, evenly spread over a clip: the middle of each of as many parts."""
    return sorted({min(int((index + 0.5) * length / count), length - 1) for index in range(count)}) if length else []


def in_motion(length: int, fps: float, count: int) -> list[int]:
    """At most `count` frames around the middle of a clip, `PREVIEW_HZ` of them a second."""
    step = max(round(fps / PREVIEW_HZ), 1)
    count = min(count, (length + step - 1) // step)
    start = max((length - ((count - 1) * step + 1)) // 2, 0)
    return [start + index * step for index in range(count)]


def read_moment(shard: Shard, clip: Clip, frame: int) -> dict[str, np.ndarray]:
    """All layers of one frame, and `metric_depth`."""
    layers = shard.read_window(clip, frame, 1, tiles.LAYERS)
    return {name: array[0] for name, array in layers.items()} | {"metric_depth": np.array(clip.metric_depth)}


def contact_sheet(shard: Shard, clip: Clip, *, frames: int, tile_px: int, preview_frames: int) -> Sheet:
    """Draw a clip.

    Args:
        shard: Where it is.
        clip: Of at least one frame.
        frames: Moments at most.
        tile_px: Height of a tile at most.
        preview_frames: Pictures of the animation at most; 0 for none.
    """
    at = spread(clip.length, frames)
    pictures: dict[str, list[Picture]] = {kind.key: [] for kind in KINDS}
    labels: set[int] = set()
    moments = []
    for frame in at:
        moment = read_moment(shard, clip, frame)
        place = clip.start + frame
        judged = shard.array("layer_valid").read(place, place + 1)[0]
        time_s = float(shard.array("timestamps").read(place, place + 1)[0])
        moments.append(Moment(frame, time_s, tuple(name for name, good in zip(JUDGES, judged) if not good)))
        labels.update(tiles.present_parts(moment["parsing"]))
        for kind in KINDS:
            tile = kind.draw(moment, tile_px)
            alt = f"{kind.title}, frame {frame}" + (f": {tile.note}" if tile.note else "")
            pictures[kind.key].append(Picture(embed.webp(tile.picture, _TILE_QUALITY), alt, tile.note))
    height, width = tiles.size(shard.height, shard.width, tile_px)
    middle = read_moment(shard, clip, clip.length // 2)
    poster_px = min(POSTER_PX, shard.height)
    return Sheet(
        moments=tuple(moments),
        rows=tuple(
            Row(kind.key, kind.title, kind.about, _legend(kind.key, sorted(labels)), tuple(pictures[kind.key]))
            for kind in KINDS
        ),
        tile_height=height,
        tile_width=width,
        preview=_preview(shard, clip, preview_frames) if preview_frames else "",
        poster=embed.webp(tiles.shrink(middle["rgb"], poster_px), _POSTER_QUALITY),
    )


def _preview(shard: Shard, clip: Clip, count: int) -> str:
    """Animation of frame, layers and scene."""
    at = in_motion(clip.length, clip.fps, count)
    drawn = [tiles.preview(read_moment(shard, clip, frame), PREVIEW_PX) for frame in at]
    step = at[1] - at[0] if len(at) > 1 else 1
    return embed.animated_webp(drawn, round(1000 * step / clip.fps), _PREVIEW_QUALITY)


def _legend(key: str, labels: list[int]) -> tuple[tuple[str, str], ...]:
    """Colour and what it stands for."""
    if key == "keypoints":
        return (
            (colours.css(skeleton.LEFT), "left"),
            (colours.css(skeleton.RIGHT), "right"),
            (colours.css(skeleton.MIDDLE), "middle"),
        )
    if key == "layers":
        return (
            (colours.css(colours.HUMAN), "human"),
            (colours.css(colours.OCCLUDER), "occluder"),
            (colours.css(colours.SCENE), "scene"),
        )
    if key == "parts":
        return tuple((colours.css(colours.part(label)), PARSING_LABELS[label]) for label in labels)
    if key == "normals":
        return (("#ff8080", "right"), ("#80ff80", "up"), ("#8080ff", "to the camera"))
    if key == "origin":
        return (
            (colours.css(colours.ORIGIN[SCENE_FROM_OTHER_FRAME]), "another frame"),
            (colours.css(colours.ORIGIN[SCENE_INPAINTED]), "invented"),
        )
    if key == "recomposed":
        return ((colours.css(colours.DIFFERS), "not the frame"),)
    return ()
