"""A data root of instant-nvr (or ZJU-MoCap) as a source of samples."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from PIL import Image

from model_zoo.canonical.palette import labels_of_colours, labels_of_palette
from tools.nvr.layout import META_FOLDER, frame_number, mask_paths, names_of
from tools.nvr.objects import load_npy
from tools.nvr.settings import Settings
from tools.nvr.source import Camera, Pose, Subject, View
from workflow.errors import ToolError

MILLIMETRES = 1000.0  # the unit of T in annots.npy


class RootSource:
    """Reads a data root; every file when it is needed, what all samples share once."""

    def __init__(self, root: Path, settings: Settings, meta: Optional[Path] = None) -> None:
        """Read the list of images and the cameras.

        Args:
            root: Data root, with or without a trailing slash.
            settings: Which frames and cameras.
            meta: Folder of the body's `faces.npy`, `weights.npy` and `parents.npy`; None looks for `smpl-meta` in the
                data root and beside it.

        Raises:
            ToolError: Something is missing.
        """
        self.root = Path(root)
        self._names = names_of(self.root)
        self._meta = meta
        annots = read_annots(self.root)
        self._cameras = annots_cameras(annots, self.root)
        images = annots_images(annots, self.root)
        wanted = settings.views or (0,)
        bad = [camera for camera in wanted if not 0 <= camera < len(self._cameras)]
        if bad:
            raise ToolError(f"{self.root}/annots.npy has {len(self._cameras)} cameras, asked for camera {bad[0]}")
        self.num_cameras = len(wanted)
        self.views: list[View] = []
        self._images: list[str] = []
        for place in settings.chosen(len(images)):
            for camera in wanted:
                if camera >= len(images[place]):
                    raise ToolError(f"{self.root}/annots.npy: entry {place} of ims has no image of camera {camera}")
                self._images.append(images[place][camera])
                self.views.append(View(frame_number(images[place][camera]), camera))
        self._places = {(view.frame, view.camera): place for place, view in enumerate(self.views)}

    def image(self, view: View) -> str:
        """Path of a sample's image, relative to the data root."""
        return self._images[self._places[view.frame, view.camera]]

    def camera(self, view: View) -> Camera:
        """See `Source`."""
        return self._cameras[view.camera]

    def picture(self, view: View) -> np.ndarray:
        """See `Source`."""
        path = self.root / self.image(view)
        found = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if found is None:
            raise ToolError(f"{path}: no readable image")
        return cv2.cvtColor(found, cv2.COLOR_BGR2RGB, dst=found)

    def labels(self, view: View) -> np.ndarray:
        """See `Source`."""
        coloured, grey = (self.root / name for name in mask_paths(self.image(view)))
        if coloured.exists():
            return read_labels(coloured)
        if grey.exists():
            labels = cv2.imread(str(grey), cv2.IMREAD_UNCHANGED)
            return np.ascontiguousarray(labels[..., 0] if labels.ndim == 3 else labels)
        raise ToolError(f"{coloured}: no such mask, and no {grey} either")

    def pose(self, view: View) -> Pose:
        """See `Source`."""
        params = self.params(view.frame)
        grids = self.root / self._names.lbs / "bweights" / f"{view.frame}.npy"
        return Pose(
            wpts=self.vertices(view.frame),
            Rh=np.asarray(params["Rh"]).reshape(1, 3),
            Th=np.asarray(params["Th"]).reshape(1, 3),
            poses=np.asarray(params["poses"]).reshape(-1),
            pbw=np.ascontiguousarray(self._array(grids), np.float32),
        )

    def params(self, frame: int) -> dict[str, Any]:
        """Body parameters of a frame: Rh (1, 3), Th (1, 3), poses (1, 72), shapes (1, 10)."""
        return read_params(self.root / self._names.params / f"{frame}.npy")

    def vertices(self, frame: int) -> np.ndarray:
        """Body vertices of a frame, shape (V, 3), float32, m, world frame."""
        return self._array(self.root / self._names.vertices / f"{frame}.npy").astype(np.float32, copy=False)

    @cached_property
    def subject(self) -> Subject:
        """See `Source`."""
        lbs = self.root / self._names.lbs
        meta = self._meta_folder()
        try:
            return Subject.of(
                faces=self._array(meta / "faces.npy"),
                weights=self._array(meta / "weights.npy"),
                joints=self._array(lbs / "joints.npy"),
                parents=self._array(meta / "parents.npy"),
                tpts=self._array(lbs / "bigpose_vertices.npy"),
                tbw=self._array(lbs / "bigpose_bw.npy"),
                tuv=self._array(self.root / "bigpose_uv.npy"),
            )
        except ValueError as error:
            raise ToolError(f"{self.root}: {error}") from None

    def _meta_folder(self) -> Path:
        places = [self._meta] if self._meta else [self.root / META_FOLDER, self.root.parent / META_FOLDER]
        for place in places:
            if (place / "weights.npy").exists():
                return place
        listed = ", ".join(str(place) for place in places)
        raise ToolError(f"no weights.npy in {listed}; name the folder of the body's faces, weights and parents")

    def _array(self, path: Path) -> np.ndarray:
        if not path.exists():
            raise ToolError(f"{path}: no such file; the data root is not complete")
        try:
            return np.load(path, allow_pickle=False)
        except ValueError as error:
            raise ToolError(f"{path}: {error}") from None


def read_annots(root: Path) -> dict[str, Any]:
    """`annots.npy` of a data root.

    Raises:
        ToolError: It is missing, or not what it should be.
    """
    path = root / "annots.npy"
    if not path.exists():
        raise ToolError(f"{path}: no such file; name the folder that holds annots.npy")
    try:
        annots = load_npy(path)
    except ValueError as error:
        raise ToolError(str(error)) from None
    if not isinstance(annots, dict) or "cams" not in annots or "ims" not in annots:
        raise ToolError(f"{path}: expected a dictionary with cams and ims")
    return annots


def annots_cameras(annots: dict[str, Any], root: Path) -> list[Camera]:
    """Cameras in metres; the arrays keep their dtype.

    Raises:
        ToolError: K, R, T or D is missing or of another shape.
    """
    found = []
    try:
        cams = annots["cams"]
        for place in range(len(cams["K"])):
            K, R, T, D = (np.array(cams[key][place]) for key in ("K", "R", "T", "D"))
            if D.size not in (4, 5, 8):
                raise ValueError(f"D of camera {place} has shape {D.shape}")
            found.append(Camera(K.reshape(3, 3), R.reshape(3, 3), T.reshape(3, 1) / MILLIMETRES, D.reshape(1, -1)))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ToolError(f"{root}/annots.npy: cams must hold lists K, R, T and D ({error})") from None
    return found


def annots_images(annots: dict[str, Any], root: Path) -> list[list[str]]:
    """Paths of the images of every frame, by camera.

    The original's converter writes, for one camera, all later frames into every entry (10, 9, ..., 1 paths): only the
    first is the entry's own, and camera 0 takes it, so such a list needs no mending.

    Raises:
        ToolError: The list is of another form.
    """
    try:
        return [[str(path) for path in np.asarray(entry["ims"]).ravel()] for entry in annots["ims"]]
    except (KeyError, IndexError, TypeError) as error:
        raise ToolError(f"{root}/annots.npy: ims must be a list of dictionaries with ims ({error})") from None


def read_params(path: Path) -> dict[str, Any]:
    """Body parameters of one frame.

    Raises:
        ToolError: The file is missing, or not what it should be.
    """
    if not path.exists():
        raise ToolError(f"{path}: no such file; the data root is not complete")
    try:
        params = load_npy(path)
    except ValueError as error:
        raise ToolError(str(error)) from None
    missing = [key for key in ("Rh", "Th", "poses", "shapes") if not isinstance(params, dict) or key not in params]
    if missing:
        raise ToolError(f"{path}: no {', '.join(missing)}")
    return params


def read_labels(path: Path) -> np.ndarray:
    """Labels of a picture of human parsing, indexed (mode P) or in the palette's colours (RGB, RGBA).

    Returns:
        Shape (H, W), uint8.
    """
    with Image.open(path) as picture:
        if picture.mode == "P":
            colours = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
            table = labels_of_palette(colours)
            indices = np.asarray(picture)
            return indices if (table[:20] == np.arange(20)).all() and indices.max() < 20 else table[indices]
    return labels_of_colours(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])
