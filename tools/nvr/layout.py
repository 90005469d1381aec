"""Where instant-nvr keeps what, and how recordings made by others of its family differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workflow.errors import ToolError

META_FOLDER = "smpl-meta"


@dataclass(frozen=True)
class Names:
    """Folders of a data root: the configuration keys `lbs`, `params`, `vertices`."""

    lbs: str
    params: str
    vertices: str


OWN = Names("smpl_lbs", "smpl_params", "smpl_vertices")
ZJU_MOCAP = Names("lbs", "params", "vertices")


def names_of(root: Path) -> Names:
    """Which names a data root uses: its own or those of ZJU-MoCap.

    Raises:
        ToolError: Neither.
    """
    for names in (OWN, ZJU_MOCAP):
        if (root / names.params).is_dir():
            return names
    raise ToolError(
        f"{root}: neither {OWN.params}/ nor {ZJU_MOCAP.params}/ here; name the folder that holds annots.npy and images/"
    )


def mask_paths(image: str) -> tuple[str, ...]:
    """Where the human parsing of an image may lie, best place first.

    The first folder called `images` is replaced, and no other part of the path: the original replaces the text
    `images` wherever it occurs, also in the name of a recording.

    Args:
        image: Path of the image relative to the data root, such as "images/my_video/000000.jpg".
    """
    path = PurePosixPath(image).with_suffix(".png")
    parts = list(path.parts)
    if "images" in parts:
        parts[parts.index("images")] = "schp"
    else:  # ZJU-MoCap keeps its pictures in folders named after cameras
        parts.insert(0, "schp")
    return str(PurePosixPath(*parts)), str(PurePosixPath("mask_cihp") / path)


def frame_number(image: str) -> int:
    """Number of an image's frame, from its name.

    Raises:
        ToolError: The name is no number.
    """
    stem = PurePosixPath(image).stem
    if not stem.isdigit():
        raise ToolError(f"{image}: the name of an image must be the number of its frame")
    return int(stem)
