"""Recordings fitted by EasyMocap: a folder with `images/` and `smpl/*.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from tools.import_data.recording import Recording, Shot
from tools.nvr.settings import Settings
from tools.nvr.source import Camera
from workflow.errors import ToolError

_IMAGES = (".jpg", ".jpeg", ".png")
FOCAL_SHARE = 1.2  # of the picture's shorter side: EasyMocap's guess where no camera is known


def results_of(root: Path) -> Optional[Path]:
    """Folder of the fitted bodies; `emc` without `--out` puts it into `output/sv1p`."""
    places = [root / "smpl", *sorted(root.glob("output/*/smpl"))]
    return next((place for place in places if any(place.glob("*.json"))), None)


def read(root: Path, settings: Settings) -> list[Recording]:
    """The one recording of a folder.

    Raises:
        ToolError: There are no results, no images, or several videos.
    """
    results = results_of(root)
    if results is None:
        raise ToolError(
            f"{root}: neither annots.npy nor smpl/*.json here; name a data root or an output folder of EasyMocap"
        )
    folder = _image_folder(root)
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES)
    sub = "" if folder == root / "images" else folder.name
    shots = []
    for place in settings.chosen(len(images)):  # results are named by the place in the sorted images
        image = images[place]
        annotation = root / "annots" / sub / f"{image.stem}.json"
        shots.append(
            Shot(
                number=place,
                image=image,
                params=read_smpl(results / f"{place:06d}.json"),
                annotation=annotation if annotation.exists() else None,
            )
        )
    if not any(shot.params for shot in shots):
        raise ToolError(f"{results}: no result belongs to one of the {len(images)} images in {folder}")
    size = cv2.imread(str(images[0])).shape[:2]
    return [Recording(root.resolve().name, root, read_camera(root, sub, size), shots, has_masks=False)]


def _image_folder(root: Path) -> Path:
    top = root / "images"
    if not top.is_dir():
        raise ToolError(f"{top}: no such folder; EasyMocap's results lie beside the images they belong to")
    folders = sorted(path for path in top.iterdir() if path.is_dir())
    if len(folders) > 1:
        raise ToolError(f"{top}: holds {len(folders)} videos, expected one; results of one video each are supported")
    return folders[0] if folders else top


def read_smpl(path: Path) -> Optional[Mapping[str, Any]]:
    """First body of a result.

    Returns:
        Rh (1, 3), Th (1, 3), poses (1, 69 or 72), shapes (1, n), float64; None where the frame has no result.

    Raises:
        ToolError: The file is of another form.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        people = content["annots"] if isinstance(content, dict) else content
        if not people:
            return None
        return {key: np.array(people[0][key], np.float64).reshape(1, -1) for key in ("Rh", "Th", "poses", "shapes")}
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{path}: is not a result of EasyMocap ({error!r})") from None


def read_camera(root: Path, sub: str, size: tuple[int, int]) -> Camera:
    """Camera of `intri.yml` and `extri.yml`, or EasyMocap's guess where there are none.

    Args:
        root: Folder of the two files.
        sub: Name of the video; the first camera in order of number is taken where there is none of this name.
        size: (H, W) of the pictures, px.

    Raises:
        ToolError: The files name no camera, or one that is not whole.
    """
    height, width = size
    intri, extri = root / "intri.yml", root / "extri.yml"
    if not (intri.exists() and extri.exists()):
        focal = FOCAL_SHARE * min(height, width)
        matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)
        return Camera(matrix, np.eye(3, dtype=np.float32), np.zeros((3, 1), np.float32), np.zeros((1, 5), np.float32))
    inner, outer = (cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ) for path in (intri, extri))
    try:
        names_node = inner.getNode("names")
        names = [names_node.at(place).string() for place in range(names_node.size())]
        if not names:
            raise ToolError(f"{intri}: names no camera")
        name = (
            sub
            if sub in names
            else min(names, key=lambda each: (not each.isdigit(), int(each) if each.isdigit() else 0, each))
        )
        found = {}
        for key, node in (("K", inner), ("dist", inner), ("R", outer), ("T", outer)):
            found[key] = node.getNode(f"{key}_{name}").mat()
            if found[key] is None:
                raise ToolError(f"{intri} and {extri}: no {key}_{name}")
    finally:
        inner.release()
        outer.release()
    rotation = cv2.Rodrigues(found["R"].reshape(3))[0]
    return Camera(found["K"].reshape(3, 3), rotation, found["T"].reshape(3, 1), found["dist"].reshape(1, -1))
