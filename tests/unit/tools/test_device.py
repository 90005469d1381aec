"""One GPU per job, by a lock that dies with its process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import device
from workflow.errors import ToolError

ROOT = Path(__file__).resolve().parents[3]
HOLD = (
    "import sys, pathlib; from tools import device;"
    "print(device.claim(2, pathlib.Path(sys.argv[1])), flush=True); sys.stdin.read()"
)


def holder(folder):
    environment = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, env=environment,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    return process, int(process.stdout.readline())


def end(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_jobs_get_distinct_devices_and_a_killed_one_frees_its_own(tmp_path):
    first, one = holder(tmp_path)
    second, two = holder(tmp_path)
    assert {one, two} == {0, 1}
    end(first)
    third, again = holder(tmp_path)
    assert again == one
    end(second)
    end(third)


def test_what_the_scheduler_chose_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert device.claim(2, tmp_path) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_several_devices_are_taken_all_or_none(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first, one = holder(tmp_path)
    tried = []

    def pause(_):
        tried.append(device.os.environ.get("CUDA_VISIBLE_DEVICES"))
        second, two = holder(tmp_path)  # nothing is kept while waiting
        assert two == 1 - one
        end(second)
        end(first)

    monkeypatch.setattr(device.time, "sleep", pause)
    assert device.claim(2, tmp_path, wanted=2) == "0,1"
    assert tried == [None]
    with pytest.raises(ToolError, match="needs 3 GPUs and 2 are visible"):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        device.claim(2, tmp_path, wanted=3)


def test_no_gpu_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(ToolError, match="needs a GPU and none is visible"):
        device.claim(0, tmp_path)
