"""Samples of a data root against a slow implementation, node by node."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from tests import nvr_example
from tools.nvr.dataset import NvrDataset
from tools.nvr.objects import load_npy
from tools.nvr.settings import Settings
from workflow.errors import ToolError

PARTS = ((0, 3, 6, 9, 13, 14), (1, 2, 4, 5, 7, 8, 10, 11), (12, 15), (16, 18, 20, 22), (17, 19, 21, 23))
SEMANTIC = ((5,), (9, 16, 17), (2, 10, 13), (14,), (15,))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "my_images"
    nvr_example.write_root(folder)
    return folder


@pytest.fixture(scope="module")
def distorted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distorted") / "root"
    nvr_example.write_root(folder, distortion=True, mode="RGBA")
    return folder


# --- the slow implementation ------------------------------------------------------------------------------


def read_labels(path):
    """Palette match colour by colour."""
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    labels = np.zeros(stored.shape[:2], np.uint8)
    for label in range(20):
        labels[(stored == nvr_example.colour(label)).all(-1)] = label
    return labels


def slow_pictures(root, i, ratio, rim):
    annots = load_npy(root / "annots.npy")
    K, D = np.array(annots["cams"]["K"][0]), annots["cams"]["D"][0]
    image = root / f"images/{nvr_example.SUB}/{i:06d}.jpg"
    img = cv2.imread(str(image))[..., ::-1].astype(np.float32) / 255
    labels = read_labels(root / f"schp/{nvr_example.SUB}/{i:06d}.png")
    whole = (labels != 0).astype(np.uint8)
    msk = whole.copy()
    if rim:
        kernel = np.ones((5, 5), np.uint8)
        msk[(cv2.dilate(whole, kernel) - cv2.erode(whole, kernel)) == 1] = 100
    parts = [np.isin(labels, names).astype(np.uint8) for names in SEMANTIC]
    img, msk, whole, *parts = (cv2.undistort(each, K, D) for each in (img, msk, whole, *parts))
    size = int(img.shape[1] * ratio), int(img.shape[0] * ratio)
    img = cv2.resize(img, size, interpolation=cv2.INTER_AREA)
    msk, whole, *parts = (cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in (msk, whole, *parts))
    img[msk == 0] = 0
    K[:2] = K[:2] * ratio
    return img, msk, whole, np.stack(parts), K, annots["cams"]["R"][0], annots["cams"]["T"][0] / 1000


def slow_patch(img, msk, K, draws, patch=64):
    x, y, w, h = cv2.boundingRect(msk)
    if w >= patch and h >= patch:
        x0, y0, x1, y1 = x - 10, y - 10, x + w + 10, y + h + 10
        if (y1 - y0) / (x1 - x0) > 1.5:
            room = (int((y1 - y0) / 1.5) - (x1 - x0)) // 2
            x0, x1 = x0 - room, x1 + room
        elif (x1 - x0) / (y1 - y0) > 1.5:
            room = (int((x1 - x0) / 1.5) - (y1 - y0)) // 2
            y0, y1 = y0 - room, y1 + room
        x0, x1 = np.clip([x0, x1], 0, img.shape[1] - 1)
        y0, y1 = np.clip([y0, y1], 0, img.shape[0] - 1)
        img, msk, K = img[y0:y1, x0:x1], msk[y0:y1, x0:x1], K.copy()
        K[0, 2] -= x0
        K[1, 2] -= y0
        K = K.astype(np.float32)
    m = min(patch, *img.shape[:2])
    size = (draws.randint(int(min(patch, 0.8 * m)), m) | 7) + 1
    places = np.argwhere(msk == 1)
    cy, cx = places[draws.randint(0, len(places))]
    x0 = min(max(cx - size // 2, 0), img.shape[1] - size)
    y0 = min(max(cy - size // 2, 0), img.shape[0] - size)
    K = K.copy()
    K[0, 2] -= x0
    K[1, 2] -= y0
    return img[y0 : y0 + size, x0 : x0 + size], msk[y0 : y0 + size, x0 : x0 + size], K.astype(np.float32)


def slow_rays(H, W, K, R, T, bounds):
    """Ray by ray."""
    origin = (-R.T @ T).ravel()
    inverse = np.linalg.inv(K.astype(np.float64))
    near, far, directions, hits = [], [], [], np.zeros(H * W, bool)
    for row in range(H):
        for column in range(W):
            world = (inverse @ (column, row, 1.0) - T.ravel()) @ R
            d = world - origin
            d /= np.sqrt((d**2).sum())
            safe = d.copy()
            for axis in range(3):
                if -1e-10 < safe[axis] < 1e-5:
                    safe[axis] = 1e-5
                if -1e-5 < safe[axis] < 1e-10:
                    safe[axis] = -1e-5
            first, second = (bounds[0] - origin) / safe, (bounds[1] - origin) / safe
            enters, leaves = np.minimum(first, second).max(), np.maximum(first, second).min()
            if enters < leaves:
                hits[row * W + column] = True
                near.append(enters), far.append(leaves), directions.append(d)
    return origin, np.array(directions), np.array(near), np.array(far), hits


def slow_pose(root, i):
    params = load_npy(root / f"smpl_params/{i}.npy")
    wpts = np.load(root / f"smpl_vertices/{i}.npy")
    tpts = np.load(root / "smpl_lbs/bigpose_vertices.npy")
    weights = np.load(root / "smpl-meta/weights.npy")
    joints = np.load(root / "smpl_lbs/joints.npy")
    R = cv2.Rodrigues(params["Rh"][0])[0]
    ppts = (wpts - params["Th"]) @ R
    big = np.zeros(72)
    big[5], big[8] = np.deg2rad(30), np.deg2rad(-30)
    part_of = np.zeros(len(weights))
    for vertex in range(len(weights)):
        joint = weights[vertex].argmax()
        part_of[vertex] = next(part for part, names in enumerate(PARTS) if joint in names)
    lengths = np.array([(part_of == part).sum() for part in range(5)])
    part_pts, part_pbw = np.zeros((5, lengths.max(), 3)), np.zeros((5, lengths.max(), 24))
    bounds = np.zeros((5, 2, 3))
    for part in range(5):
        part_pts[part, : lengths[part]] = ppts[part_of == part]
        part_pbw[part, : lengths[part]] = weights[part_of == part]
        bounds[part] = tpts[part_of == part].min(0) - 0.2, tpts[part_of == part].max(0) + 0.2
    box = {name: np.stack([v.min(0) - 0.05, v.max(0) + 0.05]) for name, v in
           (("wbounds", wpts), ("pbounds", ppts), ("tbounds", tpts))}  # fmt: skip
    return {
        "R": R, "Th": params["Th"], "wpts": wpts, "ppts": ppts, "sub_ppts": ppts, "tpts": tpts, **box,
        "A": nvr_example.chain(params["poses"], joints), "big_A": nvr_example.chain(big, joints),
        "pbw": np.load(root / f"smpl_lbs/bweights/{i}.npy"), "tbw": np.load(root / "smpl_lbs/bigpose_bw.npy"),
        "tuv": np.load(root / "bigpose_uv.npy"), "faces": np.load(root / "smpl-meta/faces.npy"), "joints": joints,
        "parents": np.load(root / "smpl-meta/parents.npy"), "weights": weights, "parts": part_of,
        "lengths2": lengths, "part_pts": part_pts, "part_pbw": part_pbw, "bounds": bounds,
    }  # fmt: skip


SHAPES = {
    "R": ((3, 3), "float32"), "Th": ((1, 3), "float32"), "wpts": ((6890, 3), "float32"),
    "ppts": ((6890, 3), "float32"), "sub_ppts": ((6890, 3), "float32"), "tpts": ((6890, 3), "float32"),
    "wbounds": ((2, 3), "float32"), "pbounds": ((2, 3), "float32"), "tbounds": ((2, 3), "float32"),
    "A": ((24, 4, 4), "float32"), "big_A": ((24, 4, 4), "float32"), "pbw": ((7, 9, 5, 25), "float32"),
    "tbw": ((9, 8, 6, 25), "float32"), "tuv": ((9, 8, 6, 2), "float32"), "faces": ((13776, 3), "int64"),
    "joints": ((24, 3), "float32"), "parents": ((24,), "int64"), "weights": ((6890, 24), "float32"),
    "parts": ((6890,), "float64"), "lengths2": ((5,), "int64"), "bounds": ((5, 2, 3), "float32"),
    "frame_dim": ((), "float32"), "prev_geometry": ((1,), "float64"),
}  # fmt: skip


def agrees(found, wanted):
    np.testing.assert_allclose(np.asarray(found, np.float64), np.asarray(wanted, np.float64), rtol=2e-6, atol=2e-6)


# --- tests ------------------------------------------------------------------------------------------------


def test_body_nodes_have_the_values_shapes_and_dtypes_of_the_definitions(root):
    item = NvrDataset.of_root(root, "train")[1]
    for name, value in slow_pose(root, 1).items():
        agrees(item[name], value)
    for name, (shape, dtype) in SHAPES.items():
        assert (item[name].shape, str(item[name].dtype)) == (shape, dtype), name
    assert item["part_pts"].shape == (5, item["lengths2"].max(), 3) and item["part_pts"].dtype == np.float32
    assert item["part_pbw"].shape == (5, item["lengths2"].max(), 24) and item["part_pbw"].dtype == np.float32
    assert item["parents"][0] == 4294967295
    numbers = {key: item[key] for key in ("latent_index", "bw_latent_index", "frame_index", "cam_ind")}
    assert numbers == {"latent_index": 1, "bw_latent_index": 1, "frame_index": 1, "cam_ind": 0}
    assert item["frame_dim"] == np.float32(0.5) and item["geo_thresh"] == 0.2 and item["prev_geometry"] == 0


@pytest.mark.parametrize("ratio", [0.5, 0.37, 1.0])
@pytest.mark.parametrize("kind", ["root", "distorted"])
def test_test_item(kind, ratio, request):
    root = request.getfixturevalue(kind)
    item = NvrDataset.of_root(root, "test", Settings(eval_ratio=ratio))[0]
    img, msk, whole, parts, K, R, T = slow_pictures(root, 0, ratio, rim=True)
    H, W = msk.shape
    assert (item["H"], item["W"]) == (int(150 * ratio), int(130 * ratio)) == (H, W)
    origin, directions, near, far, hits = slow_rays(H, W, K, R, T, item["wbounds"])
    assert 100 < hits.sum() < H * W
    assert item["mask_at_box"].dtype == bool and item["mask_at_box"].shape == (H * W,)
    np.testing.assert_array_equal(item["mask_at_box"], hits)
    agrees(item["ray_o"], np.tile(origin, (hits.sum(), 1)))
    agrees(item["ray_d"], directions)
    np.testing.assert_allclose(item["near"], near, rtol=2e-5)
    np.testing.assert_allclose(item["far"], far, rtol=2e-5)
    agrees(item["rgb"], img.reshape(-1, 3)[hits])
    kernel = np.ones((10, 10), np.uint8)
    edged = whole.copy()
    edged[(cv2.dilate(whole, kernel) - cv2.erode(whole, kernel)) == 1] = 100
    np.testing.assert_array_equal(item["occupancy"], edged.ravel()[hits])
    assert item["occupancy"].dtype == np.uint8 and set(np.unique(item["occupancy"])) <= {0, 1, 100}
    np.testing.assert_array_equal(item["coord"], np.argwhere(hits.reshape(H, W)))
    assert item["coord"].dtype == np.int64
    np.testing.assert_array_equal(item["sem_mask"], parts)
    np.testing.assert_array_equal(item["msk"], msk)
    np.testing.assert_array_equal(item["orig_msk"], whole)
    for name in ("rgb", "ray_o", "ray_d", "near", "far"):
        assert item[name].dtype == np.float32, name


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("kind", ["root", "distorted"])
def test_training_patch_draws_as_the_original_from_the_global_stream(kind, ratio, request):
    root = request.getfixturevalue(kind)
    dataset = NvrDataset.of_root(root, "train", Settings(ratio=ratio, seed=None))
    sizes = set()
    for seed in range(4):
        np.random.seed(seed)
        item = dataset[0]
        after = np.random.randint(1 << 30)
        draws = np.random.RandomState(seed)
        whole_img, whole_msk, _, parts, K, R, T = slow_pictures(root, 0, ratio, rim=True)
        img, msk, K = slow_patch(whole_img, whole_msk, K, draws)
        assert after == draws.randint(1 << 30), "two draws per sample"
        H, W = msk.shape
        sizes.add(H)
        assert (item["H"], item["W"]) == (H, W)
        origin, directions, near, far, hits = slow_rays(H, W, K, R, T, item["wbounds"])
        np.testing.assert_array_equal(item["mask_at_box"], hits)
        agrees(item["ray_d"], directions)
        np.testing.assert_allclose(item["near"], near, rtol=2e-5)
        agrees(item["rgb"], img.reshape(-1, 3)[hits])
        np.testing.assert_array_equal(item["occupancy"], msk.ravel()[hits] > 0)
        assert item["occupancy"].dtype == bool
        rows, columns = np.divmod(np.flatnonzero(hits), W)
        np.testing.assert_array_equal(item["coord"], np.stack([columns, rows], 1))
        assert item["coord"].dtype == np.uint8
        np.testing.assert_array_equal(item["sem_mask"], parts)
    assert sizes <= {56, 64}


def test_seeded_patches_depend_on_seed_epoch_and_index_alone(root):
    dataset = NvrDataset.of_root(root, "train", Settings(ratio=1.0, seed=7))
    first = dataset[1]["rgb"]
    np.random.seed(99)
    dataset[0]
    assert np.array_equal(dataset[1]["rgb"], first)
    dataset.set_epoch(1)
    assert not np.array_equal(dataset[1]["rgb"], first)


def test_focus_crops_about_a_semantic_mask(root):
    for seed in range(3):
        item = NvrDataset.of_root(root, "train", Settings(ratio=1.0, seed=seed, sample_focus="head", patch_size=16))[0]
        assert item["H"] in (16, 8) and item["occupancy"].any()


def test_an_empty_mask_gives_a_patch_all_the_same(tmp_path):
    nvr_example.write_root(tmp_path / "r", frames=1)
    mask = tmp_path / f"r/schp/{nvr_example.SUB}/000000.png"
    nvr_example.write_labels(mask, np.zeros((150, 130), np.uint8), "P")
    item = NvrDataset.of_root(tmp_path / "r", "train")[0]
    assert not item["occupancy"].any() and not item["rgb"].any() and len(item["sem_mask"]) == 5


def test_white_background_and_none(root):
    white = NvrDataset.of_root(root, "test", Settings(white_bkgd=True))[0]
    kept = NvrDataset.of_root(root, "test", Settings(mask_bkgd=False))[0]
    outside = white["msk"].ravel()[white["mask_at_box"]] == 0
    assert (white["rgb"][outside] == 1).all() and not (kept["rgb"][outside] == 1).all()
    assert np.array_equal(white["rgb"][~outside], kept["rgb"][~outside])


def test_evaluating_leaves_the_mask_without_a_rim(root):
    assert 100 in NvrDataset.of_root(root, "test")[0]["msk"]
    assert set(np.unique(NvrDataset.of_root(root, "test", Settings(evaluating=True))[0]["msk"])) == {0, 1}


def test_exact_bounds_are_those_of_the_grids(root):
    item = NvrDataset.of_root(root, "test", Settings(exact_bounds=True))[0]
    for bounds, grid in (("pbounds", "pbw"), ("tbounds", "tbw")):
        extent = (np.array(item[grid].shape[:3]) - 1) * 0.025
        np.testing.assert_allclose(item[bounds][1] - item[bounds][0], extent, atol=1e-6)


def test_default_collation_adds_a_batch_of_one(root):
    loader = torch.utils.data.DataLoader(NvrDataset.of_root(root, "train"), batch_size=1)
    batch = next(iter(loader))
    assert batch["pbw"].shape == (1, 7, 8, 5, 25) and batch["H"].shape == (1,) and batch["faces"].dtype == torch.int64


def test_frames_are_chosen_once(tmp_path):
    nvr_example.write_root(tmp_path / "r", frames=5)
    dataset = NvrDataset.of_root(
        tmp_path / "r", "test", Settings(begin_ith_frame=1, num_train_frame=2, frame_interval=2)
    )
    assert [item["frame_index"] for item in dataset] == [1, 3]
    assert [float(item["frame_dim"]) for item in dataset] == [0, 0.5]


def test_several_cameras_and_the_names_of_zju_mocap(tmp_path):
    nvr_example.write_root(tmp_path / "r", cameras=3, names=("lbs", "params", "vertices"))
    dataset = NvrDataset.of_root(tmp_path / "r", "test", Settings(views=(0, 2)))
    assert len(dataset) == 4
    items = list(dataset)
    assert [item["cam_ind"] for item in items] == [0, 2, 0, 2]
    assert [item["latent_index"] for item in items] == [0, 0, 1, 1]
    assert not np.array_equal(items[0]["ray_o"][0], items[1]["ray_o"][0])
    with pytest.raises(ToolError, match="asked for camera 3"):
        NvrDataset.of_root(tmp_path / "r", "test", Settings(views=(3,)))


def test_grey_masks_are_the_second_choice(tmp_path):
    nvr_example.write_root(tmp_path / "r", frames=1)
    before = NvrDataset.of_root(tmp_path / "r", "test")[0]
    coloured = tmp_path / f"r/schp/{nvr_example.SUB}/000000.png"
    grey = tmp_path / f"r/mask_cihp/images/{nvr_example.SUB}/000000.png"
    grey.parent.mkdir(parents=True)
    cv2.imwrite(str(grey), read_labels(coloured))
    coloured.unlink()
    after = NvrDataset.of_root(tmp_path / "r", "test")[0]
    assert np.array_equal(before["sem_mask"], after["sem_mask"]) and np.array_equal(before["msk"], after["msk"])


def test_what_is_missing_is_named(tmp_path):
    nvr_example.write_root(tmp_path / "r", frames=1)
    (tmp_path / "r/bigpose_uv.npy").unlink()
    with pytest.raises(ToolError, match="bigpose_uv.npy: no such file"):
        NvrDataset.of_root(tmp_path / "r", "test")
    with pytest.raises(ToolError, match="annots.npy"):
        (tmp_path / "r/annots.npy").unlink()
        NvrDataset.of_root(tmp_path / "r", "test")


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="ratio is 0.*sample_focus is 'foot'"):
        Settings(ratio=0, sample_focus="foot")
