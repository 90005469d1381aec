"""Files that the sample's settings name are inputs of its rule."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tools.bench.plan import catalogued, pretend_done

ROOT = Path(__file__).resolve().parents[2]


def plan(directory):
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", directory, "-n", "--cores", "2",
               "train/sample.mp4", "--rerun-triggers", "mtime", "--configfile", directory / "config.yaml"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_named_file_that_changes_draws_the_sample_again(tmp_path):
    catalogued(tmp_path, clips=2)
    (tmp_path / "config.yaml").write_text(
        "videos: [footage]\nstages: {sample: {params: {identity: who.png, motion: walk.npz}}}\n"
    )
    code, output = plan(tmp_path)
    assert code != 0 and "who.png" in output and "walk.npz" in output and "Traceback" not in output
    for name in ("who.png", "walk.npz"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1, 1))
    pretend_done(tmp_path)
    code, output = plan(tmp_path)
    assert code == 0 and "Nothing to be done" in output, output
    (tmp_path / "who.png").write_bytes(b"y")
    os.utime(tmp_path / "who.png")
    code, output = plan(tmp_path)
    assert code == 0 and re.findall(r"^rule (\w+):", output, re.MULTILINE) == ["sample"], output
