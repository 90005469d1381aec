"""What the instant-nvr branch costs, fast ways against plain ones, on a body of 6890 vertices and pictures of 1080p."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import cv2
import igl
import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from model_zoo.body import free
from model_zoo.body.decimate import decimate
from model_zoo.body.skeleton import PARENTS
from model_zoo.body.smpl import SmplModel
from model_zoo.canonical import bigpose, grids
from model_zoo.canonical.packing import pack_grid
from model_zoo.canonical.palette import voc_palette
from tools.nvr.dataset import NvrDataset
from tools.nvr.layout import META_FOLDER, OWN
from tools.nvr.objects import save_npy
from tools.nvr.settings import Settings
from workflow.raster import codec

NUM_VERTICES = 6890
HEIGHT, WIDTH = 1080, 1920
_FRAMES = 8
_THREADS = 2


def figures(body_model: Optional[Path] = None, repeats: int = 3) -> dict[str, float]:
    """Measure; the best of some repeats, since other programs only ever slow a measurement down.

    Args:
        body_model: Body file; None derives the free body, which takes some seconds.
        repeats: How often.

    Returns:
        Milliseconds of wall (`_ms`) and processor (`_cpu_ms`) time, bytes, and ratios of plain to fast (`_ratio`, of
        processor time), by name.
    """
    model = SmplModel.load(body_model) if body_model else SmplModel.from_arrays(free.derive())
    faces, vertices, weights, joints, uv = _body(model)
    rng = np.random.default_rng(0)
    poses = 0.2 * rng.standard_normal((_FRAMES, 69))
    still = np.zeros((_FRAMES, 3))
    kept = vertices
    posed = model.poser(np.zeros(10)).vertices(still, poses, still)[:, kept].astype(np.float64)

    def search(pxyz: np.ndarray) -> tuple[grids.Axes, grids.NearestVertices]:
        axes = grids.grid_axes(pxyz)
        return axes, grids.nearest_vertices(axes, pxyz)

    def frame_weights(pool: ThreadPoolExecutor) -> list[np.ndarray]:
        return list(pool.map(lambda pxyz: grids.vertex_bw(search(pxyz)[1], weights), posed))

    def plain_frame_weights() -> np.ndarray:
        points = grids.grid_points(grids.grid_axes(posed[0]))
        distance, vertex = cKDTree(posed[0]).query(points.reshape(-1, 3))
        found = np.concatenate([weights[vertex], distance[:, None]], axis=1)
        return found.reshape(*points.shape[:3], 25).astype(np.float32)

    out: dict[str, float] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        out.update(_timed("frame_weights", lambda: frame_weights(pool), repeats, _FRAMES))
    out.update(_timed("frame_weights_plain", plain_frame_weights, repeats))

    chain = bigpose.pose_chain(bigpose.big_pose(), joints, PARENTS)
    eye = np.tile(np.eye(4), (24, 1, 1))
    big = bigpose.bigpose_vertices(model.v_template[kept], eye, chain, weights)

    def big_grids() -> tuple[np.ndarray, np.ndarray]:
        closest = grids.closest_surface(grids.grid_axes(big), big, faces, _THREADS)
        return grids.bigpose_bw(closest, faces, weights), grids.bigpose_uv(closest, faces, uv)

    def plain_big_grids() -> tuple[np.ndarray, np.ndarray]:
        points = grids.grid_points(grids.grid_axes(big))
        squared, face, at = igl.point_mesh_squared_distance(points.reshape(-1, 3), big, faces)[:3]
        corners = faces[face]
        share = igl.barycentric_coordinates(at, *(np.ascontiguousarray(big[corners[:, n]]) for n in range(3)))
        blended = [np.einsum("nk,nkc->nc", share, values[corners]) for values in (weights, uv)]
        return np.concatenate([blended[0], np.sqrt(squared)[:, None]], axis=1), blended[1]

    fast = big_grids()
    out.update(_timed("bigpose_grids", big_grids, repeats))
    out.update(_timed("bigpose_grids_plain", plain_big_grids, 1))

    axes, nearest = search(posed[0])
    packed = pack_grid(axes, nearest.vertex)
    encode, _ = codec("npy.zst")
    out["frame_grid_bytes"] = float(len(encode(packed.nearest)))
    out["frame_grid_plain_bytes"] = float(packed.nearest.size * 25 * 4)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        _write_root(root, model, posed, poses, (kept, faces, weights, joints), fast, weights)
        out.update(_items(root, repeats))
    for name in ("frame_weights", "bigpose_grids", "training_item"):
        out[f"{name}_ratio"] = out[f"{name}_plain_cpu_ms"] / out[f"{name}_cpu_ms"]
    out["frame_grid_ratio"] = out["frame_grid_plain_bytes"] / out["frame_grid_bytes"]
    return out


def table(found: dict[str, float]) -> str:
    """The figures as a table in Markdown."""
    lines = ["| what | ms | processor ms | plain, processor ms | ratio |", "|---|---|---|---|---|"]
    labels = {
        "frame_weights": f"blend weights of a frame, {_THREADS} threads",
        "bigpose_grids": f"big-pose grids, {_THREADS} threads",
        "training_item": "training sample, 1080p",
    }
    for name, label in labels.items():
        wall, processor, plain, ratio = (found[f"{name}_{kind}"] for kind in ("ms", "cpu_ms", "plain_cpu_ms", "ratio"))
        lines.append(f"| {label} | {wall:.0f} | {processor:.0f} | {plain:.0f} | {ratio:.1f} |")
    lines.append(f"| test sample, 1080p | {found['test_item_ms']:.0f} | {found['test_item_cpu_ms']:.0f} | | |")
    kept, whole = found["frame_grid_bytes"] / 1e3, found["frame_grid_plain_bytes"] / 1e3
    return "\n".join([*lines, "", f"A frame's grid takes {kept:.0f} kB instead of {whole:.0f} kB."])


def _timed(name: str, work: Callable[[], Any], repeats: int, share: int = 1) -> dict[str, float]:
    """Least wall time and processor time of some calls, ms; the first call, which compiles, does not count.

    Args:
        name: Of the figures.
        work: What to measure.
        repeats: How often.
        share: Frames that one call makes.
    """
    work()
    wall, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return {f"{name}_ms": 1e3 * min(wall) / share, f"{name}_cpu_ms": 1e3 * min(processor) / share}


def _body(model: SmplModel) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Faces, kept vertices, weights, joints and texture coordinates of a body with SMPL's number of vertices."""
    kept, faces = np.arange(len(model.v_template)), model.faces
    if len(kept) > NUM_VERTICES:
        kept, faces, _ = decimate(
            model.v_template, model.faces, model.ft if len(model.ft) else model.faces, NUM_VERTICES, 0.25
        )
        place = np.zeros(len(model.v_template), np.int64)
        place[kept] = np.arange(len(kept))
        faces = place[faces]
    joints = model.joints_rest(np.zeros(10))
    uv = np.random.default_rng(1).random((len(kept), 2))
    return faces, kept, model.weights[kept], joints, uv


def _write_root(
    root: Path,
    model: SmplModel,
    posed: np.ndarray,
    poses: np.ndarray,
    surface: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    big: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray,
) -> None:
    """A data root of two frames of 1080p."""
    kept, faces, _, joints = surface
    for name in ("images/a", "schp/a", OWN.params, OWN.vertices, f"{OWN.lbs}/bweights", META_FOLDER):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(2)
    picture = cv2.resize(rng.integers(0, 255, (135, 240, 3), np.uint8), (WIDTH, HEIGHT))
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(labels, (WIDTH // 2, HEIGHT // 2), (150, 400), 0, 0, 360, 5, -1)
    cv2.circle(labels, (WIDTH // 2, 200), 70, 13, -1)
    Th = np.array([[0, 0.3, 3.0]])
    for i in range(2):
        cv2.imwrite(str(root / f"images/a/{i:06d}.jpg"), picture)
        mask = Image.fromarray(voc_palette()[labels])
        mask.save(root / f"schp/a/{i:06d}.png")
        params = {
            "Rh": np.array([[np.pi, 0, 0]]),
            "Th": Th,
            "poses": np.append(np.zeros(3), poses[i])[None],
            "shapes": np.zeros((1, 10)),
        }
        save_npy(root / OWN.params / f"{i}.npy", params)
        np.save(root / OWN.vertices / f"{i}.npy", (posed[i] * (1, -1, -1) + Th).astype(np.float32))
        axes = grids.grid_axes(posed[i])
        np.save(
            root / OWN.lbs / "bweights" / f"{i}.npy", grids.vertex_bw(grids.nearest_vertices(axes, posed[i]), weights)
        )
    focal = 1.2 * HEIGHT
    K = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]], np.float32)
    cams = {
        "K": [K],
        "R": [np.eye(3, dtype=np.float32)],
        "T": [np.zeros((3, 1), np.float32)],
        "D": [np.zeros((1, 5), np.float32)],
    }
    save_npy(root / "annots.npy", {"cams": cams, "ims": [{"ims": [f"images/a/{i:06d}.jpg"]} for i in range(2)]})
    np.save(root / OWN.lbs / "joints.npy", joints)
    np.save(root / OWN.lbs / "bigpose_vertices.npy", model.v_template[kept])
    np.save(root / OWN.lbs / "bigpose_bw.npy", big[0])
    np.save(root / "bigpose_uv.npy", big[1])
    for name, array in (("faces", faces), ("weights", weights), ("parents", np.array(PARENTS).astype(np.uint32))):
        np.save(root / META_FOLDER / f"{name}.npy", array)


def _items(root: Path, repeats: int) -> dict[str, float]:
    """Training item, test item, and what the plain training item spends its time on."""
    train = NvrDataset.of_root(root, "train", Settings())
    test = NvrDataset.of_root(root, "test", Settings())
    turn = iter(range(10**9))

    def plain() -> dict[str, Any]:
        """The steps that the fast item avoids, then the fast item."""
        index = next(turn) % 2
        picture = cv2.imread(str(root / f"images/a/{index:06d}.jpg")).astype(np.float32) / 255
        coloured = cv2.imread(str(root / f"schp/a/{index:06d}.png"))[..., ::-1]
        labels = np.zeros(coloured.shape[:2], np.uint8)
        for label, colour in enumerate(voc_palette(20)):
            labels[(coloured - colour).sum(axis=-1) == 0] = label
        matrix, distortion = np.array([[1296.0, 0, 960], [0, 1296, 540], [0, 0, 1]]), np.zeros(5)
        for each in (picture, *[labels] * 10):
            cv2.undistort(each, matrix, distortion)
        cv2.resize(picture, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
        for name in ("bigpose_bw", "bigpose_vertices"):
            np.load(root / OWN.lbs / f"{name}.npy").astype(np.float32)
        return train[index]

    return {
        **_timed("training_item", lambda: train[next(turn) % 2], 3 * repeats),
        **_timed("test_item", lambda: test[next(turn) % 2], repeats),
        **_timed("training_item_plain", plain, repeats),
    }
