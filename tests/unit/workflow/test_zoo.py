import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from workflow import layout, pins, zoo
from workflow.errors import ToolError
from workflow.stage import Backend, Params
from workflow.stages import STAGES


@dataclass(frozen=True)
class Sized(Params):
    """Settings that choose the weights."""

    size: str = "1b"
    file: str = ""


NEEDS = Backend("core", Sized, weights=("sapiens-depth-{size}", "file:{file}"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("LAMA_MODEL", "SAPIENS_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(layout, "WEIGHTS", tmp_path / "w")
    return tmp_path / "w"


def put(path, data=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_manifest_is_yaml_too():
    assert yaml.safe_load(zoo.MANIFEST.read_text()) == json.loads(zoo.MANIFEST.read_text())


def test_every_entry_is_complete():
    entries = zoo.manifest().weights
    assert len({entry.file for entry in entries.values()}) == len(entries)
    for entry in entries.values():
        assert entry.format in zoo.FORMATS, entry.name
        assert entry.licence, entry.name
        assert entry.page.startswith("https://"), entry.name
        assert entry.urls or entry.form or entry.archive in zoo.manifest().archives, entry.name
        assert not Path(entry.file).is_absolute()
        assert ".." not in Path(entry.file).parts
        assert all(url.startswith(("https://", "hf:")) for url in entry.urls), entry.name


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_backends_name_weights_that_list_them(stage):
    for name, backend in stage.backends.items():
        sizes = {f.name for f in dataclasses.fields(backend.params)}
        for wanted in zoo.names(backend, backend.params()):
            assert f"{stage.name}/{name}" in zoo.weight(wanted).backends
        for template in backend.weights:
            template.format(**dict.fromkeys(sizes, ""))


def test_every_backend_a_weight_lists_is_declared_or_planned():
    planned = {
        "keypoints/hrnet",
        "keypoints/easymocap",
        "body/easymocap",
        "body/pare",
        "parsing/schp",
        "train/small",  # recipes
        "train/paper",
    }
    declared = {f"{stage.name}/{name}" for stage in STAGES.values() for name in stage.backends}
    listed = {name for entry in zoo.manifest().weights.values() for name in entry.backends}
    assert listed <= declared | planned


def test_settings_choose_the_weights():
    assert zoo.names(NEEDS, Sized(size="2b", file="mine.pkl")) == ["sapiens-depth-2b"]


def test_a_recipe_needs_what_lists_it():
    backend = STAGES["train"].backends["diffusion"]
    wanted = zoo.names(backend, dataclasses.replace(backend.params(), recipe="small"))
    assert wanted == ["sd15-unet", "sd-vae-ft-mse", "clip-vit-b32", "animatediff-motion"]
    assert zoo.names(backend, backend.params()) == []


def test_the_recipes_read_the_files_of_the_manifest():
    recipes = pytest.importorskip("tools.recipes", exc_type=ImportError)
    for recipe in ("small", "paper"):
        entries = [entry for entry in zoo.manifest().weights.values() if f"train/{recipe}" in entry.backends]
        assert {entry.file for entry in entries} == set(getattr(recipes, recipe)().pretrained.values())


def test_places_in_order(folder, monkeypatch):
    entry = zoo.weight("sapiens-depth-1b")
    name = Path(entry.file).name
    hub = put(Path(os.environ["TORCH_HOME"]) / "hub/checkpoints" / name)
    assert zoo.locate(entry) == hub
    own = put(folder / entry.file)
    assert zoo.locate(entry) == own
    root = folder.parent / "root"
    monkeypatch.setenv("SAPIENS_ROOT", str(root))
    assert zoo.locate(entry) == own
    lite = put(root / "sapiens_lite_host/torchscript/depth/checkpoints/sapiens_1b" / name)
    assert zoo.locate(entry) == lite


def test_a_variable_that_is_set_is_the_only_place(folder, monkeypatch):
    entry = zoo.weight("big-lama")
    put(folder / entry.file)
    monkeypatch.setenv("LAMA_MODEL", str(folder / "elsewhere.pt"))
    assert zoo.locate(entry) is None
    put(folder / "elsewhere.pt")
    assert zoo.locate(entry) == folder / "elsewhere.pt"


def test_what_is_missing_is_explained(folder):
    choices = [("surface", "sapiens", NEEDS, Sized(file="SMPL_NEUTRAL.pkl"))]
    told = zoo.explain(zoo.lacking(choices))
    assert "stages.surface, backend sapiens" in told
    assert str(folder / "sapiens/depth/sapiens_1b_render_people_epoch_88_torchscript.pt2") in told
    assert "CC-BY-NC-4.0" in told
    assert "python -m tools zoo fetch sapiens-depth-1b" in told
    assert "Register at https://smpl.is.tue.mpg.de" in told
    assert "zoo add SMPL_NEUTRAL.pkl --as smpl-neutral" in told
    with pytest.raises(ToolError, match="weights are missing"):
        zoo.paths(*choices[0])


def test_nothing_is_missing_when_all_is_there(folder):
    path = put(folder / zoo.weight("sapiens-depth-1b").file)
    assert zoo.lacking([("surface", "sapiens", NEEDS, Sized())]) == []
    assert zoo.paths("surface", "sapiens", NEEDS, Sized()) == {"sapiens-depth-1b": path}


def test_a_file_of_the_wrong_size_counts_as_missing(folder):
    put(folder / "yolov4.weights", b"short")
    (lack,) = zoo.lacking([("keypoints", "hrnet", Backend("core", Params, weights=("yolov4",)), Params())])
    assert lack.fault == "has 5 bytes, expected 257717640"


def test_an_unknown_key_of_a_manifest_is_said(tmp_path):
    (tmp_path / "w.yaml").write_text(
        '{"weights": {"a": {"title": "", "file": "", "format": "", "licence": "", "sha": ""}}}'
    )
    with pytest.raises(ToolError, match="a: unknown key sha"):
        zoo.read(tmp_path / "w.yaml")


def test_a_digest_is_remembered_until_the_file_changes(folder, monkeypatch):
    path = put(folder / "a.bin", b"one")
    first = pins.digest(path)
    monkeypatch.setattr(pins.hashlib, "sha256", None)  # reading it again would fail
    assert pins.digest(path) == first
    monkeypatch.undo()
    put(path, b"two")
    os.utime(path, ns=(1, 1))
    assert pins.digest(path, folder) != first


def test_a_file_is_pinned_when_first_seen(folder):
    entry = zoo.weight("big-lama")
    path = put(folder / entry.file, b"one")
    found = pins.verified(entry, path)
    assert json.loads(pins.lock_file().read_text())["big-lama"]["sha256"] == found
    put(path, b"other")
    with pytest.raises(ToolError, match=r"damaged or another version.*zoo fetch big-lama --again"):
        pins.verified(entry, path)
