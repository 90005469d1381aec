import dataclasses
import itertools
import json
import os
import re
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
        assert entry.citation, entry.name
        assert not entry.sha256 or re.fullmatch("[0-9a-f]{64}", entry.sha256), entry.name
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


def every(backend):
    """Settings of a backend in all that decides about weights: sizes, recipes, and files named by settings."""
    choices = {"size": ("0.3b", "0.6b", "1b", "2b"), "recipe": ("tiny", "small", "paper")}
    given = {key: values for key, values in choices.items() if hasattr(backend.params(), key)}
    files = {
        template[len("file:{") : -1]: [entry.file for entry in zoo.manifest().weights.values()]
        for template in backend.weights
        if template.startswith("file:")
    }
    for values in itertools.product(*given.values(), *files.values()):
        yield dataclasses.replace(backend.params(), **dict(zip([*given, *files], values)))


def needed(backend):
    """Manifest names of all that a backend can open, by its declaration; of files named by settings, all."""
    found = set()
    for template in backend.weights:
        alone = dataclasses.replace(backend, weights=(template,))
        for params in every(alone):
            if not params.faults() or template.startswith("file:"):
                found |= {need.entry.name for need in zoo.needs(alone, params) if need.entry is not None}
    return found


def test_what_a_weight_lists_and_what_a_backend_declares_is_the_same():
    """Both ways: nothing is needed that does not list who needs it, and nobody is listed who does not need it."""
    listed = {}
    for entry in zoo.manifest().weights.values():
        for who in entry.backends:
            listed.setdefault(who, set()).add(entry.name)
    declared = {}
    for stage in STAGES.values():
        for name, backend in stage.backends.items():
            if any(template.startswith("for:") for template in backend.weights):
                continue  # declared by the list itself, and checked against the recipes below
            found = needed(backend)
            if any(template.startswith("file:") for template in backend.weights):
                # A setting may name any file; of those in the manifest the listed ones are meant.
                fixed = dataclasses.replace(
                    backend, weights=tuple(t for t in backend.weights if not t.startswith("file:"))
                )
                assert listed.get(f"{stage.name}/{name}", set()) <= found
                found = needed(fixed) | listed.get(f"{stage.name}/{name}", set())
            if found:
                declared[f"{stage.name}/{name}"] = found
    recipes = {who for who in listed if who.startswith("train/")}
    assert recipes == {"train/small", "train/paper"}
    # EasyMocap finds YOLOv5 itself, through torch.hub.
    declared["body/easymocap"] = declared["body/easymocap"] | {"yolov5m"}
    assert {who: names for who, names in listed.items() if who not in recipes} == declared


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


def test_only_sapiens_goes_by_the_names_of_its_addresses(folder):
    put(folder / "diffusion_pytorch_model.safetensors")  # a name that half the hub has
    assert zoo.locate(zoo.weight("sd15-unet")) is None and zoo.locate(zoo.weight("sd-vae-ft-mse")) is None
    entry = zoo.weight("sapiens-pose-308-1b")
    other = put(folder / "sapiens/pose/sapiens_1b_goliath_best_goliath_AP_640_torchscript.pt2")
    assert zoo.locate(entry) == other
    own = put(folder / entry.file)
    assert zoo.locate(entry) == own


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


def test_published_sums_hold_unless_the_user_pins_another_file(folder):
    entry = zoo.weight("yolox-l")
    path = put(folder / entry.file, b"mine")
    needs = [("keypoints", "dwpose", Backend("onnx", Params, weights=("yolox-l",)), Params())]
    with pytest.raises(ToolError, match=r"expected\n    7860ae79de6c89a3(.|\n)*--as yolox-l --mine"):
        pins.verified(entry, path)
    assert zoo.lacking(needs)[0].fault == "has 4 bytes, expected 216746733"
    assert "zoo fetch yolox-l --again\n" in zoo.explain(zoo.lacking(needs))
    assert "zoo add" in zoo.explain(zoo.lacking(needs)) and "--as yolox-l --mine" in zoo.explain(zoo.lacking(needs))
    pins.pin(entry, path)
    assert pins.verified(entry, path) == pins.digest(path)
    assert zoo.lacking(needs) == [] and pins.mismatches(needs) == []
    put(path, b"other")
    assert zoo.lacking(needs)[0].fault == "has 5 bytes, expected 4"


def test_the_file_that_a_variable_names_is_the_users_own(folder, monkeypatch):
    entry = zoo.weight("big-lama")
    needs = [("scene", "lama", Backend("networks", Params, weights=("big-lama",)), Params())]
    monkeypatch.setenv("LAMA_MODEL", str(put(folder / "mine.pt", b"mine")))
    assert zoo.lacking(needs) == [] and pins.mismatches(needs) == []
    for known in (entry, dataclasses.replace(entry, sha256="")):
        assert pins.verified(known, folder / "mine.pt") == pins.digest(folder / "mine.pt")
    assert not zoo.lock_file().exists()
    assert pins.mismatch(entry, put(folder / entry.file))  # what lies in the folder is held to what is published


def test_a_lock_file_that_is_damaged_is_said(folder):
    put(zoo.lock_file(), b"{")
    with pytest.raises(ToolError, match="weights.lock.json: is not JSON"):
        pins.expected(zoo.weight("midas-small"))


def test_files_that_settings_name_are_known_by_the_manifest(folder):
    """SMPL's file and detectron2's are named by settings; they are checked and written down like all others."""
    backend = Backend("core", Sized, weights=("file:{file}",))
    smpl = put(folder / "SMPL_NEUTRAL.pkl", b"body")
    chosen = [("body_model", "smpl", backend, Sized(file="SMPL_NEUTRAL.pkl"))]
    assert zoo.paths(*chosen[0]) == {"smpl-neutral": smpl}
    first = pins.sums(zoo.paths(*chosen[0]))
    assert first == {"smpl-neutral": pins.digest(smpl)}
    put(smpl, b"another body")
    assert zoo.lacking(chosen)[0].fault == "has 12 bytes, expected 4"
    put(smpl, b"dead")
    with pytest.raises(ToolError, match=r"smpl-neutral: (.|\n)*damaged or another version"):
        pins.sums(zoo.paths(*chosen[0]))
    mine = put(folder / "mine.npz", b"own")
    assert pins.sums(zoo.paths("body_model", "smpl", backend, Sized(file="mine.npz"))) == {
        "mine.npz": pins.digest(mine)
    }
    assert zoo.paths("body_model", "smpl", backend, Sized()) == {}


def test_files_of_a_checkout_are_needed_too(folder, tmp_path):
    backend, params = STAGES["keypoints"].backends["easymocap"], STAGES["keypoints"].backends["easymocap"].params
    chosen = [("keypoints", "easymocap", backend, params(checkout=str(tmp_path / "EasyMocap")))]
    told = zoo.explain(zoo.lacking(chosen))
    at = tmp_path / "EasyMocap/data/models/yolov4.weights"
    assert f"stages.keypoints, backend easymocap: {at} is not there" in told
    assert f"python -m tools zoo fetch yolov4\n    and then: install -D {folder / 'yolov4.weights'} {at}" in told
    assert "extract_keypoints.py is not there\n    put it there, see docs/research-backends.md" in told
    for file in ("apps/preprocess/extract_keypoints.py", "data/models/yolov4.weights",
                 "data/models/pose_hrnet_w48_384x288.pth"):  # fmt: skip
        put(tmp_path / "EasyMocap" / file)
    assert zoo.lacking(chosen) == [] and pins.mismatches(chosen) == []  # a checkout keeps the version it has
    assert list(pins.sums(zoo.paths(*chosen[0]))) == [
        "checkout/apps/preprocess/extract_keypoints.py", "checkout/data/models/yolov4.weights",
        "checkout/data/models/pose_hrnet_w48_384x288.pth",
    ]  # fmt: skip


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
    entry = zoo.weight("midas-small")
    path = put(folder / entry.file, b"one")
    found = pins.verified(entry, path)
    assert json.loads(zoo.lock_file().read_text())["midas-small"]["sha256"] == found
    put(path, b"other")
    with pytest.raises(ToolError, match=r"damaged or another version.*zoo fetch midas-small --again"):
        pins.verified(entry, path)
