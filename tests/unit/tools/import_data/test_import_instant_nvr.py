"""Imports: round trips, ZJU-MoCap, EasyMocap's folders, and what must be refused."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from tests import examples, nvr_example
from tools.export.instant_nvr import Options, export
from tools.import_data import cli
from tools.import_data.easymocap import read_camera
from tools.import_data.joints import whole_body
from workflow import catalog
from workflow.errors import ToolError
from workflow.shard_reader import Shard
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing
from workflow.store import Reader


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "egg.npz"
    np.savez(path, **nvr_example.body())
    return path


def run(root, directory, *argv):
    directory.mkdir(exist_ok=True)
    assert cli.main(["instant-nvr", str(root), "--directory", str(directory), *map(str, argv)]) == 0


def artifact(directory, kind, shard="s00000", clip=None):
    """Arrays of an artifact; rasters as stacks."""
    with Reader(directory / f"work/{shard}/{kind.name}.zip", kind) as reader:
        read = reader.read(clip or reader.clips[0])
        return {name: getattr(read, name)[:] for name in kind.specs()} | {"quality": read.quality}


def test_export_and_import_again_lose_nothing_but_what_is_declared(tmp_path):
    base = tmp_path / "base"
    shard = Shard(examples.shard(base, lengths=(7,)))
    clip, body_model = shard.clips[0].id, base / "work/s00000/body_model.npz"
    export(shard, clip, tmp_path / "root", Options(vertices=None), body_model)
    run(tmp_path / "root", tmp_path / "again", "--body-model", body_model)
    exact = {Frames: ("rgb",), Keypoints: ("confidence", "xy"), Parsing: ("labels", "matte", "valid")}
    for kind, names in exact.items():
        before, after = artifact(base, kind, clip=clip), artifact(tmp_path / "again", kind)
        seen = artifact(base, Keypoints, clip=clip)["valid"] if kind is Keypoints else slice(None)
        for name in names:
            np.testing.assert_array_equal(after[name][seen], before[name][seen], err_msg=name)
    before, after = artifact(base, Body, clip=clip), artifact(tmp_path / "again", Body)
    for name, bound in (("betas", 0), ("body_pose", 0), ("global_orient", 1e-6), ("transl", 1e-6), ("intrinsics", 0),
                        ("world_from_camera", 1e-6), ("valid", 0)):  # fmt: skip
        np.testing.assert_allclose(after[name], before[name], atol=bound, rtol=0, err_msg=name)
    before, after = artifact(base, Keypoints, clip=clip), artifact(tmp_path / "again", Keypoints)
    np.testing.assert_array_equal(after["valid"], before["valid"])
    np.testing.assert_allclose(artifact(tmp_path / "again", Frames)["timestamps"], np.arange(7) / 25, atol=1e-12)


def test_a_data_root_of_the_originals(tmp_path, model):
    facts = nvr_example.write_root(tmp_path / "root", frames=3)
    run(tmp_path / "root", tmp_path / "work", "--body-model", model, "--fps", 10)
    body = artifact(tmp_path / "work", Body)
    R, T = facts["cams"]["R"][0], facts["cams"]["T"][0] / 1000
    arrays = nvr_example.body()
    for i in range(3):  # the artifact's convention, spelt out: a turn about the pelvis, camera frame
        pose = np.concatenate([np.zeros(3), body["body_pose"][i]])
        posed, joints = nvr_example.lbs(arrays, pose, body["betas"])
        turn = cv2.Rodrigues(body["global_orient"][i].astype(float))[0]
        camera = (posed - joints[0]) @ turn.T + joints[0] + body["transl"][i]
        world = np.load(tmp_path / f"root/smpl_vertices/{i}.npy")
        np.testing.assert_allclose(camera, world @ R.T + T.T, atol=5e-6)
        np.testing.assert_allclose(body["joints"][i][0], joints[0] + body["transl"][i], atol=1e-6)
    np.testing.assert_allclose(
        body["world_from_camera"][0] @ np.append(R @ (1, 2, 3) + T.ravel(), 1), (1, 2, 3, 1), atol=1e-5
    )
    frames, parsing, keypoints = (artifact(tmp_path / "work", kind) for kind in (Frames, Parsing, Keypoints))
    np.testing.assert_allclose(frames["timestamps"], [0, 0.1, 0.2])
    assert parsing["labels"].max() < 20 and parsing["valid"].all()
    assert keypoints["quality"]["from_body"] == 1 and keypoints["valid"].all()  # there are no annotations
    elbow = body["joints"][1, 18] @ body["intrinsics"].T
    np.testing.assert_allclose(keypoints["xy"][1, 7], elbow[:2] / elbow[2], atol=1e-2)
    manifest = catalog.read_manifest(tmp_path / "work/work/s00000/clips.json")
    assert [row.frames for row in manifest.clips] == [3] and manifest.split == "train"


def test_the_same_again_is_no_second_clip_and_another_one_is_a_second_shard(tmp_path, model):
    for name, frames in (("a", 2), ("b", 3)):
        nvr_example.write_root(tmp_path / name, frames=frames)
    for name in ("a", "a", "b"):
        run(tmp_path / name, tmp_path / "work", "--body-model", model, "--split", "test")
    known = catalog.read(tmp_path / "work" / catalog.LOG)
    assert sorted(known.shards()) == ["s00000", "s00001"] and set(known.shards().values()) == {"test"}


def test_several_cameras_are_several_clips(tmp_path, model):
    nvr_example.write_root(tmp_path / "root", cameras=2, names=("lbs", "params", "vertices"))
    run(tmp_path / "root", tmp_path / "work", "--body-model", model)
    manifest = catalog.read_manifest(tmp_path / "work/work/s00000/clips.json")
    assert len(manifest.clips) == 2
    poses = [artifact(tmp_path / "work", Body, clip=row.id) for row in manifest.clips]
    in_world = []
    for pose in poses:
        world_from_camera = pose["world_from_camera"][0]
        in_world.append(pose["joints"][0] @ world_from_camera[:3, :3].T + world_from_camera[:3, 3])
    np.testing.assert_allclose(in_world[0], in_world[1], atol=1e-5)


def test_distortion_is_taken_out(tmp_path, model):
    nvr_example.write_root(tmp_path / "root", frames=1, distortion=True)
    facts = nvr_example.write_root(tmp_path / "plain", frames=1)
    run(tmp_path / "root", tmp_path / "work", "--body-model", model)
    picture = cv2.imread(str(tmp_path / f"plain/images/{nvr_example.SUB}/000000.jpg"))[..., ::-1]
    wanted = cv2.undistort(picture, facts["cams"]["K"][0], np.array([[0.1, -0.05, 0.01, 0.005, 0.0]]))
    found = artifact(tmp_path / "work", Frames)["rgb"][0]
    assert np.abs(found.astype(int) - wanted).mean() < 1.5 < np.abs(picture.astype(int) - wanted).mean()


def easymocap(root, poses=69, cameras=False):
    """An output folder of EasyMocap: images, results with a gap, keypoints of two people."""
    nvr_example.write_root(root / "made", frames=3)
    for folder in ("images/me", "output/sv1p/smpl", "annots/me"):
        (root / folder).mkdir(parents=True)
    for i in range(3):
        image = root / f"made/images/{nvr_example.SUB}/{i:06d}.jpg"
        image.rename(root / f"images/me/{i:06d}.jpg")
        if i != 1:
            found = {"Rh": [[3.0, 0, 0.1]], "Th": [[0.05, 0.1, 2.6 + i]], "poses": [[0.1] * poses]}
            result = [{"id": 0, **found, "shapes": [[0.2] * 10]}]
            content = {"annots": result} if i == 2 else result
            (root / f"output/sv1p/smpl/{i:06d}.json").write_text(json.dumps(content))
        people = [
            {"personID": 0, "bbox": [0, 0, 9, 9, 1], "keypoints": [[2.0, 3.0, 0.9]] * 25},
            {"personID": 1, "bbox": [40, 0, 90, 99, 1], "keypoints": [[65.0, 60.0, 0.8]] * 25},
        ]
        (root / f"annots/me/{i:06d}.json").write_text(json.dumps({"annots": people if i < 2 else []}))
    if cameras:
        matrix = np.array([[200.0, 0, 60], [0, 210, 70], [0, 0, 1]])
        outer = {"R": np.array([[0.0], [0.1], [0]]), "T": np.array([[0.1], [0.2], [0.3]])}
        for name, entries in (("intri.yml", {"K": matrix, "dist": np.zeros((1, 5))}), ("extri.yml", outer)):
            file = cv2.FileStorage(str(root / name), cv2.FILE_STORAGE_WRITE)
            file.startWriteStruct("names", cv2.FileNode_SEQ)
            for each in ("10", "me"):
                file.write("", each)
            file.endWriteStruct()
            for key, value in entries.items():
                file.write(f"{key}_me", value)
            file.release()


def test_an_output_folder_of_easymocap(tmp_path, model):
    easymocap(tmp_path / "root")
    run(tmp_path / "root", tmp_path / "work", "--body-model", model)
    body, keypoints = artifact(tmp_path / "work", Body), artifact(tmp_path / "work", Keypoints)
    assert body["valid"].tolist() == [True, False, True]
    assert keypoints["valid"].tolist() == [True, True, False]
    np.testing.assert_allclose(body["intrinsics"], [[156, 0, 65], [0, 156, 75], [0, 0, 1]])
    assert keypoints["box"][0].tolist() == [40, 0, 90, 99]  # the person that the body belongs to
    assert not (tmp_path / "work/work/s00000/parsing.zip").exists()  # no masks: the pipeline makes its own


def test_72_numbers_turn_about_the_pelvis_first(tmp_path, model):
    easymocap(tmp_path / "root", poses=72)
    run(tmp_path / "root", tmp_path / "work", "--body-model", model)
    body = artifact(tmp_path / "work", Body)
    posed, joints = nvr_example.lbs(nvr_example.body(), np.full(72, 0.1), np.full(10, 0.2))
    wanted = posed @ cv2.Rodrigues(np.array([3.0, 0, 0.1]))[0].T + (0.05, 0.1, 2.6)
    again, _ = nvr_example.lbs(nvr_example.body(), np.append(np.zeros(3), body["body_pose"][0]), body["betas"])
    turn = cv2.Rodrigues(body["global_orient"][0].astype(float))[0]
    np.testing.assert_allclose((again - joints[0]) @ turn.T + joints[0] + body["transl"][0], wanted, atol=5e-6)


def test_cameras_of_easymocap(tmp_path):
    easymocap(tmp_path / "root", cameras=True)
    camera = read_camera(tmp_path / "root", "me", (150, 130))
    assert camera.K[1, 1] == 210 and camera.T.tolist() == [[0.1], [0.2], [0.3]] and camera.D.shape == (1, 5)
    np.testing.assert_allclose(camera.R, cv2.Rodrigues(np.array([0, 0.1, 0]))[0])
    with pytest.raises(ToolError, match="no K_10"):
        read_camera(tmp_path / "root", "10", (150, 130))


def test_body25_comes_back_as_it_went():
    person = {"keypoints": [[j, 0, 1] for j in range(25)], "handl2d": [[100 + j, 0, 1] for j in range(21)]}
    found = whole_body(person)[:, 0]
    assert found[:23].tolist() == [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 19, 20, 21, 22, 23, 24]
    assert found[91:112].tolist() == list(range(100, 121)) and not found[112:].any()


def test_what_does_not_fit_is_refused(tmp_path, model):
    nvr_example.write_root(tmp_path / "root", frames=1)
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(ToolError, match="no body model here"):
        run(tmp_path / "root", work)
    other = nvr_example.body() | {"v_template": nvr_example.body()["v_template"] * 1.2}
    np.savez(tmp_path / "other.npz", **other)
    with pytest.raises(ToolError, match="made with another one"):
        run(tmp_path / "root", work, "--body-model", tmp_path / "other.npz")
    assert not catalog.read(work / catalog.LOG).rows  # nothing is half imported
    with pytest.raises(ToolError, match="is another body than"):
        run(tmp_path / "root", work, "--body-model", model)
    with pytest.raises(ToolError, match=r"neither annots.npy nor smpl"):
        run(tmp_path / "root/images", work, "--body-model", tmp_path / "other.npz")
