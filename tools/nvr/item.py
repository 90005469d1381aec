"""One sample of instant-nvr's data stream, node by node (its `Dataset.__getitem__`)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from model_zoo.canonical.bigpose import big_pose, pose_chain
from model_zoo.canonical.bounds import grid_box, near_and_far, padded_box, pixel_rays
from model_zoo.canonical.grids import PADDING_M, VOXEL_M
from model_zoo.canonical.parts import grouped
from tools.nvr.patch import training_patch
from tools.nvr.pictures import TEST_RIM_PX, Masks, Undistortion, area_region, masks, with_rim
from tools.nvr.settings import Settings
from tools.nvr.source import Camera, Pose, Source, Subject, View

PREVIOUS_GEOMETRY, GEOMETRY_THRESHOLD = np.zeros(1), 0.2


class Items:
    """Makes samples of one source. What does not change from sample to sample is worked out once."""

    def __init__(self, source: Source, split: str, settings: Settings, num_train_frame: int) -> None:
        """Read what all samples share.

        Args:
            source: Where they come from.
            split: "train" for random patches, "test" for whole pictures.
            settings: How they are made.
            num_train_frame: Frames of the training set, by which `frame_dim` counts.

        Raises:
            ValueError: There is no such split.
        """
        if split not in ("train", "test"):
            raise ValueError(f"split {split!r}, expected train or test")
        self._source, self._split, self._settings = source, split, settings
        self._num_train_frame = num_train_frame
        self._undistort = Undistortion()
        self._shared = _shared_nodes(source.subject, settings)

    def item(self, index: int, draws: Any) -> dict[str, Any]:
        """Sample by its place in the source's views; `draws` is `numpy.random` or a `RandomState`."""
        source, settings = self._source, self._settings
        view = source.views[index]
        pose = source.pose(view)
        nodes = pose_nodes(pose, source.subject, settings)
        seen = (
            self._train(view, nodes["wbounds"], draws) if self._split == "train" else self._test(view, nodes["wbounds"])
        )
        latent = index // source.num_cameras
        return {
            **seen,
            **nodes,
            **self._shared,
            "latent_index": latent,
            "bw_latent_index": latent,
            "frame_dim": np.array(latent / self._num_train_frame).astype(np.float32),
            "frame_index": view.frame,
            "cam_ind": view.camera,
            "prev_geometry": PREVIOUS_GEOMETRY,
            "geo_thresh": GEOMETRY_THRESHOLD,
        }

    def _read(self, view: View, ratio: float) -> tuple[np.ndarray, Camera, np.ndarray, Masks]:
        """Picture at its own size, its camera, the scaled camera matrix and the scaled masks."""
        source, settings = self._source, self._settings
        camera = source.camera(view)
        picture = source.picture(view)
        height, width = picture.shape[:2]
        found = masks(
            source.labels(view), (height, width), (int(height * ratio), int(width * ratio)), camera, self._undistort,
            rim=settings.erode_edge and not settings.evaluating,
            focus=settings.sample_focus if self._split == "train" else "",
        )  # fmt: skip
        matrix = np.array(camera.K)
        matrix[:2] = matrix[:2] * ratio
        return picture, camera, matrix, found

    def _train(self, view: View, bounds: np.ndarray, draws: Any) -> dict[str, Any]:
        settings = self._settings
        picture, camera, matrix, found = self._read(view, settings.ratio)
        patch = training_patch(found.msk, found.focus, settings.patch_size, draws)
        rgb = area_region(picture, camera, self._undistort, found.msk.shape, patch)
        cut = np.s_[patch.y : patch.y + patch.height, patch.x : patch.x + patch.width]
        msk, orig_msk = found.msk[cut], found.orig_msk[cut]
        self._blank(rgb, msk)
        matrix[0, 2] = matrix[0, 2] - patch.x
        matrix[1, 2] = matrix[1, 2] - patch.y
        rays, hit = ray_nodes(patch.height, patch.width, matrix.astype(np.float32), camera, bounds)
        y, x = np.divmod(np.flatnonzero(hit), patch.width)
        return {
            "rgb": rgb.reshape(-1, 3)[hit],
            "occupancy": msk.reshape(-1)[hit] > 0,
            "coord": np.stack([x, y], axis=1).astype(np.uint8),
            **rays,
            "H": patch.height,
            "W": patch.width,
            "sem_mask": found.sem_mask,
            "msk": np.ascontiguousarray(msk),
            "orig_msk": np.ascontiguousarray(orig_msk),
        }

    def _test(self, view: View, bounds: np.ndarray) -> dict[str, Any]:
        settings = self._settings
        ratio = settings.ratio if settings.eval_ratio is None else settings.eval_ratio
        picture, camera, matrix, found = self._read(view, ratio)
        height, width = found.msk.shape
        rgb = area_region(picture, camera, self._undistort, (height, width))
        self._blank(rgb, found.msk)
        rays, hit = ray_nodes(height, width, matrix, camera, bounds)
        edged = with_rim(found.orig_msk, TEST_RIM_PX) if settings.erode_edge else found.orig_msk
        return {
            "rgb": rgb.reshape(-1, 3)[hit],
            "occupancy": edged.reshape(-1)[hit],
            "coord": np.argwhere(hit.reshape(height, width)),
            **rays,
            "H": height,
            "W": width,
            "sem_mask": found.sem_mask,
            "msk": found.msk,
            "orig_msk": found.orig_msk,
        }

    def _blank(self, rgb: np.ndarray, msk: np.ndarray) -> None:
        if self._settings.mask_bkgd:
            rgb[msk == 0] = 1 if self._settings.white_bkgd else 0


def ray_nodes(
    height: int, width: int, matrix: np.ndarray, camera: Camera, bounds: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rays that meet the body's box, and which of all H * W do.

    Args:
        height: px.
        width: px.
        matrix: Camera matrix of this picture, px.
        camera: Where it stands; R and T alone are read.
        bounds: Shape (2, 3), m, world frame.
    """
    origin, directions = pixel_rays(height, width, matrix, camera.R, camera.T)
    near, far, hit = near_and_far(bounds, origin, directions)
    directions = directions[hit]
    rays = {
        "ray_o": np.tile(origin, (len(directions), 1)),
        "ray_d": directions,
        "near": near.astype(np.float32),
        "far": far.astype(np.float32),
        "mask_at_box": hit,
    }
    return rays, hit


def pose_nodes(pose: Pose, subject: Subject, settings: Settings) -> dict[str, Any]:
    """Nodes of the posed body."""
    wpts = pose.wpts.astype(np.float32, copy=False)
    Rh, Th = pose.Rh.astype(np.float32).reshape(1, 3), pose.Th.astype(np.float32).reshape(1, 3)
    R = cv2.Rodrigues(Rh)[0].astype(np.float32)
    ppts = np.dot(wpts - Th, R).astype(np.float32)
    chain = pose_chain(np.asarray(pose.poses).reshape(-1), subject.joints, subject.parents)
    if settings.exact_bounds:
        pbounds = grid_box(ppts.astype(np.float64).min(0) - PADDING_M, pose.pbw.shape, VOXEL_M)
    else:
        pbounds = padded_box(ppts, settings.box_padding)
    return {
        "R": R,
        "Th": Th,
        "A": chain.astype(np.float32),
        "wpts": wpts,
        "ppts": ppts,
        "sub_ppts": ppts,
        "wbounds": padded_box(wpts, settings.box_padding),
        "pbounds": pbounds,
        "pbw": pose.pbw,
        "part_pts": grouped(subject.parts, ppts),
    }


def _shared_nodes(subject: Subject, settings: Settings) -> dict[str, Any]:
    """Nodes that all samples have in common; the same arrays every time, so not to be written to."""
    bounds = [
        (subject.tpts[rows].min(0) - settings.bbox_overlap, subject.tpts[rows].max(0) + settings.bbox_overlap)
        for rows in subject.parts.members
    ]
    if settings.exact_bounds:
        tbounds = grid_box(subject.tpts.astype(np.float64).min(0) - PADDING_M, subject.tbw.shape, VOXEL_M)
    else:
        tbounds = padded_box(subject.tpts, settings.box_padding)
    return {
        "big_A": pose_chain(big_pose(), subject.joints, subject.parents).astype(np.float32),
        "tpts": subject.tpts,
        "tbw": subject.tbw,
        "tuv": subject.tuv,
        "tbounds": tbounds,
        "faces": subject.faces,
        "weights": subject.weights,
        "joints": subject.joints,
        "parents": subject.parents,
        "parts": subject.parts.parts,
        "lengths2": subject.parts.lengths,
        "part_pbw": subject.part_pbw,
        "bounds": np.array(bounds, np.float32),
    }
