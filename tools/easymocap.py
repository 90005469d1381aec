"""EasyMocap as a program: a checkout of it, run by its own Python in a folder of its own, on pictures written for it.

EasyMocap (zju3dv/EasyMocap, research and non-profit only) is never imported: its packages and its pinned libraries do
not go together with ours. It reads `data/`, `models/` and `config/` relative to its working directory, so each run gets
a folder in which everything of the checkout appears by links, and the checkout stays as it is.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from workflow.errors import ToolError
from workflow.raster import Raster

logger = logging.getLogger(__name__)

COMMIT = "d2a0a2d"  # the one whose formats and numbers are known
CLIP = "clip"  # name of the one video
_TAIL = 20  # lines of the program's log that an error repeats
_JPEG_QUALITY = 98


@dataclass(frozen=True)
class Checkout:
    """A folder with EasyMocap, seen to be what it must be.

    Attributes:
        folder: Where it is.
        python: The Python that has its packages.
        commit: Its commit; "unknown" where the folder is no clone.
        device: "auto", "cuda" or "cpu".
        label: Who asks, as "stage/backend".
    """

    folder: Path
    python: str
    commit: str
    device: str
    label: str

    @classmethod
    def open(
        cls, folder: str, python: str, any_commit: bool, device: str, needed: Sequence[str], label: str
    ) -> Checkout:
        """Look at a checkout.

        Args:
            folder: Where it is.
            python: The Python that has its packages: a path, or a name to be found.
            any_commit: Take another commit than the known one.
            device: "auto", "cuda" or "cpu"; EasyMocap itself takes a GPU where it sees one.
            needed: Files that it must have, relative to it.
            label: Who asks, as "stage/backend".

        Raises:
            ToolError: It is absent, of another commit or not whole, or there is no such Python.
        """
        path, stage = Path(folder).expanduser(), label.partition("/")[0]
        if not path.is_dir():
            raise ToolError(
                f"{label}: {path}: no such folder; clone https://github.com/zju3dv/EasyMocap there, check out "
                f"{COMMIT}, or name the folder in stages.{stage}.params.checkout"
            )
        commit = _commit(path)
        if not commit.startswith(COMMIT):
            told = f"{label}: {path} is at commit {commit[:12]}, expected {COMMIT}"
            if not any_commit:
                raise ToolError(
                    f"{told}; run `git checkout {COMMIT}` there, or set stages.{stage}.params.any_commit to true"
                )
            logger.warning("%s: taken because any_commit is true; its results may be others", told)
        missing = [name for name in needed if not (path / name).exists()]
        if missing:
            raise ToolError(f"{label}: {path} lacks {', '.join(missing)}; see docs/research-backends.md")
        found = shutil.which(python)
        if found is None:
            raise ToolError(f"{label}: {python}: no such program; set stages.{stage}.params.python")
        logger.info("%s: EasyMocap %s in %s, run by %s", label, commit[:12], path, found)
        return cls(path.resolve(), found, commit, device, label)

    def run(self, script: str, arguments: Iterable[str]) -> None:
        """Run a script of the checkout and wait for its end.

        Raises:
            ProgramFailed: It ended with another exit code than 0.
        """
        command = [self.python, script, *arguments]
        with tempfile.TemporaryDirectory(prefix="strata-easymocap-") as folder:
            for entry in self.folder.iterdir():
                if entry.name != ".git":
                    (Path(folder) / entry.name).symlink_to(entry)
            environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONNOUSERSITE": "1", "MPLBACKEND": "Agg"}
            if self.device == "cpu":
                environment["CUDA_VISIBLE_DEVICES"] = ""
            log = Path(folder) / ".log"
            with log.open("w") as file:
                code = subprocess.run(
                    command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                    stderr=subprocess.STDOUT, check=False,
                ).returncode  # fmt: skip
            lines = log.read_text(errors="replace").splitlines()
        if code:
            raise ProgramFailed(self.label, command, code, lines)


class ProgramFailed(ToolError):
    """EasyMocap ended with an exit code; `lines` is its log."""

    def __init__(self, label: str, command: Sequence[str], code: int, lines: Sequence[str]) -> None:
        told = "\n".join(f"    {line}" for line in lines[-_TAIL:])
        super().__init__(
            f"{label}: EasyMocap ended with exit code {code}: {' '.join(command[1:])}\n  the end of its log:\n{told}"
        )
        self.lines = list(lines)


def _commit(folder: Path) -> str:
    git = ["git", "-C", str(folder), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    lines = done.stdout.splitlines()
    own = len(lines) == 2 and Path(lines[0]).resolve() == folder.resolve()  # not that of a folder round it
    return lines[1] if own else "unknown"


class DataRoot:
    """EasyMocap's data root of one clip in the temporary folder, `images/clip/%06d.jpg`; use it as a context."""

    def __init__(self, rgb: Raster, frames: Iterable[int]) -> None:
        """Write some frames of a clip under their own numbers; JPEG frames byte for byte."""
        self.folder = Path(tempfile.mkdtemp(prefix="strata-easymocap-"))
        self.images = self.folder / "images" / CLIP
        self.images.mkdir(parents=True)
        for index in frames:
            path = self.images / f"{index:06d}.jpg"
            if rgb.codec_name == "jpg":
                path.write_bytes(rgb.encoded(index))
            else:
                cv2.imwrite(str(path), rgb[index][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])

    def __enter__(self) -> DataRoot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def frames(self) -> list[int]:
        """Frames that are there, rising; a result's number is the place in this list."""
        return sorted(int(path.stem) for path in self.images.glob("*.jpg"))


def read_json(path: Path, label: str) -> Any:
    """Content of a result.

    Raises:
        ToolError: The file is absent or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ToolError(f"{label}: EasyMocap wrote no {path.parent.name}/{path.name}") from None
    except ValueError as error:
        raise ToolError(f"{label}: {path.parent.name}/{path.name} of EasyMocap is not JSON: {error}") from None
