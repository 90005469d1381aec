"""Recordings in a data root of instant-nvr, or of ZJU-MoCap: one per camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tools.import_data.recording import Recording, Shot
from tools.nvr.layout import frame_number, mask_paths, names_of
from tools.nvr.root import annots_cameras, annots_images, read_annots, read_params
from tools.nvr.settings import Settings

# Of data roots that Strata wrote; see tools/export.
_FACTS, _KEYPOINTS = "strata.json", "keypoints.npy"


def is_data_root(root: Path) -> bool:
    """Whether a folder is one."""
    return (root / "annots.npy").exists()


def read(root: Path, settings: Settings) -> list[Recording]:
    """Recordings of a data root.

    Args:
        root: The folder.
        settings: Which frames, and which cameras (`views`; None takes all). Files of other frames are not looked at.

    Raises:
        ToolError: It is not complete.
    """
    annots, names = read_annots(root), names_of(root)
    cameras, images = annots_cameras(annots, root), annots_images(annots, root)
    # Only camera 0 of the ragged lists that the original's converter writes means anything.
    count = min(len(cameras), min(len(entry) for entry in images) if images else 0)
    facts = _facts(root)
    chosen = list(settings.chosen(len(images)))
    found = []
    for view in settings.views or range(count):
        shots = []
        for place in chosen:
            image = images[place][view]
            number = frame_number(image)
            masks = [root / mask for mask in mask_paths(image) if (root / mask).exists()]
            params = root / names.params / f"{number}.npy"
            shots.append(
                Shot(
                    number=number,
                    image=root / image,
                    params=read_params(params) if params.exists() else None,
                    labels=masks[0] if masks else None,
                    matte=_existing(root / image.replace("images", "matte", 1), ".png"),
                    annotation=_existing(root / image.replace("images", "annots", 1), ".json"),
                    vertices=_existing(root / names.vertices / f"{number}.npy", ".npy"),
                )
            )
        exact = root / _KEYPOINTS
        found.append(
            Recording(
                name=root.resolve().name if count == 1 else f"{root.resolve().name} camera {view}",
                root=root,
                camera=cameras[view],
                shots=shots,
                has_masks=bool(shots) and all(shot.labels for shot in shots),
                fps=facts.get("fps"),
                times=[facts["timestamps"][place] for place in chosen] if "timestamps" in facts else None,
                keypoints=np.load(exact, allow_pickle=False)[chosen] if exact.exists() and count == 1 else None,
                body_model=facts.get("body_model", ""),
                metadata=facts.get("metadata", {}),
            )
        )
    return found


def _existing(path: Path, suffix: str) -> Path | None:
    path = path.with_suffix(suffix)
    return path if path.exists() else None


def _facts(root: Path) -> dict[str, Any]:
    path = root / _FACTS
    return json.loads(path.read_bytes()) if path.exists() else {}
