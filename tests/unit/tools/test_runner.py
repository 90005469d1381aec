"""The runner: what a backend rejects is recorded, what it breaks is not kept, what it is told is checked."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import numpy as np
import pytest

from tools import runner
from workflow import store
from workflow.artifact import Artifact, array, figures
from workflow.errors import Rejected, ToolError
from workflow.stage import Backend, Params, Stage

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Numbers(Artifact):
    """Input of these tests."""

    name = "numbers"
    values: np.ndarray = array("time", "float32")
    quality: dict = figures()


@dataclass(frozen=True)
class Doubles(Artifact):
    """Output of these tests."""

    name = "doubles"
    values: np.ndarray = array("time", "float32")
    quality: dict = figures()


@dataclass(frozen=True)
class Factor(Params):
    """Settings of these tests."""

    by: float = 2.0
    most: Optional[int] = None

    def faults(self):
        return [] if self.by > 0 else [f"by: is {self.by}, expected more than 0"]


STAGE = Stage("double", "", (Numbers,), (Doubles,), {"plain": Backend("core", Factor)}, "plain")


def backend(work: Callable):
    return SimpleNamespace(load=lambda params, files: lambda numbers: work(params, numbers))


def numbers(path):
    with store.writing(path, Numbers, {}) as writer:
        writer.add("good", Numbers(np.arange(3, dtype="float32")))
        writer.add("negative", Numbers(-np.ones(2, dtype="float32")))
        writer.reject("gone", store.Rejection("frames", "too short"))


def double(params, found):
    if (found.values < 0).any():
        raise Rejected("negative numbers")
    return Doubles(found.values * np.float32(params.by), quality={"mean": float(found.values.mean())})


def run(tmp_path, monkeypatch, work):
    numbers(tmp_path / "numbers.zip")
    monkeypatch.setattr(runner.importlib, "import_module", lambda name: backend(work))
    runner.run(
        STAGE, "plain", Factor(3.0), {"numbers": tmp_path / "numbers.zip"}, {"doubles": tmp_path / "doubles.zip"}
    )


def test_results_and_rejections_are_written_and_earlier_ones_carried_on(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, double)
    with store.Reader(tmp_path / "doubles.zip", Doubles) as reader:
        assert reader.clips == ("good", "negative", "gone")
        np.testing.assert_array_equal(reader.read("good").values, [0, 3, 6])
        assert reader.rejection("negative") == store.Rejection("double", "negative numbers")
        assert reader.rejection("gone") == store.Rejection("frames", "too short")
        assert reader.provenance["settings"] == {"by": 3.0, "most": None}
        assert set(reader.provenance["inputs"]) == {"numbers"}


def test_the_same_inputs_give_the_same_bytes(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, double)
    first = (tmp_path / "doubles.zip").read_bytes()
    run(tmp_path, monkeypatch, double)
    assert (tmp_path / "doubles.zip").read_bytes() == first


def test_a_broken_backend_leaves_no_file(tmp_path, monkeypatch):
    def broken(params, found):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, monkeypatch, broken)
    assert {path.name for path in tmp_path.iterdir()} == {"numbers.zip"}


def test_a_backend_is_not_loaded_for_nothing(tmp_path, monkeypatch):
    with store.writing(tmp_path / "numbers.zip", Numbers, {}) as writer:
        writer.reject("gone", store.Rejection("frames", "too short"))

    def never(params, files):
        raise AssertionError("loaded")

    monkeypatch.setattr(runner.importlib, "import_module", lambda name: SimpleNamespace(load=never))
    runner.run(STAGE, "plain", Factor(), {"numbers": tmp_path / "numbers.zip"}, {"doubles": tmp_path / "doubles.zip"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"times": 1, "by": "x"}, "times: unknown key; one of by, most; by: is 'x', expected float"),
        ({"by": True}, "by: is True, expected float"),
        ({"most": 1.5}, "most: is 1.5, expected int or null"),
        ({"by": -1.0}, "by: is -1.0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ToolError, match=message):
        runner.settings_of(STAGE.backends["plain"], settings)


def test_numbers_and_null_are_taken():
    assert runner.settings_of(STAGE.backends["plain"], {"by": 3, "most": 2}) == Factor(3, 2)
    assert runner.settings_of(STAGE.backends["plain"], {"most": None}) == Factor()


def command(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tools", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stderr


def test_a_missing_input_is_said_with_what_to_do(tmp_path):
    ports = [word for name in ("crop", "surface", "layers") for word in (f"--{name}", tmp_path / f"{name}.zip")]
    code, said = command("layers", *ports)
    assert code == 1
    assert (
        f"input is missing: {tmp_path / 'crop.zip'}, {tmp_path / 'surface.zip'}; run the stage that writes it" in said
    )


def test_another_version_of_the_code_is_refused(tmp_path):
    code, said = command("body_model", "--version", 999, "--body-model", tmp_path / "x.npz")
    assert code == 1
    assert "was planned for version 999" in said


def test_the_first_line_of_a_log_runs_the_job_again(tmp_path):
    log = tmp_path / "a 'b'.log"
    clips = tmp_path / "clips.json"
    clips.write_text("no manifest")
    code, said = command("frames", "--settings", '{"max_side": null}', "--clips", clips, "--log", log,
                         "--frames", tmp_path / "x y.zip")  # fmt: skip
    first, *rest = log.read_text().splitlines()
    log.unlink()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    again = subprocess.run(["bash", "-c", first], cwd=tmp_path, env={**os.environ, "PATH": path}, check=False)
    assert again.returncode == code == 1
    assert log.read_text().splitlines() == [first, *rest]
    assert "is not a manifest" in rest[-1]


def test_an_unknown_name_lists_those_there_are():
    code, said = command("nonsense")
    assert code == 2
    assert "keypoints" in said
