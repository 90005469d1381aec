"""Person instances of a picture: from the keypoints' box, or from detectron2 in a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from model_zoo.schp.fusion import separate
from workflow.errors import ToolError

WORKER = Path(__file__).with_name("detectron_worker.py")
_SAME_PERSON = 0.3  # intersection over union from which an instance may be the subject
_PATIENCE_s = 10.0
_TAIL = 20  # lines of the program's log that an error repeats


@dataclass(frozen=True)
class Instances:
    """People of a picture.

    Attributes:
        boxes: Shape (N, 4), x0, y0, x1, y1 px; never empty.
        subject: Which of them is the subject.
        others: Shape (H, W), bool: pixels that belong to somebody else; None where that is not known.
        detected: Whether a detector saw the subject; otherwise the box is that of the keypoints.
    """

    boxes: np.ndarray
    subject: int
    others: np.ndarray | None
    detected: bool


def alone(box: np.ndarray) -> Instances:
    """The subject alone, by the box of the keypoints."""
    return Instances(box[None, :4].astype(np.float64), 0, None, False)


def chosen(boxes: np.ndarray, scores: np.ndarray, masks: np.ndarray, subject: np.ndarray) -> Instances:
    """Instances that count, and who of them is the subject.

    Args:
        boxes: Shape (N, 4), in falling order of score.
        scores: Shape (N,).
        masks: Shape (N, H, W), bool.
        subject: Box (4,) of the subject, from the keypoints.
    """
    kept, owner = separate(list(masks), list(scores))
    overlaps = [_iou(boxes[index], subject) for index in kept]
    if not kept or max(overlaps) < _SAME_PERSON:
        everybody = np.concatenate([boxes[kept].reshape(-1, 4), subject[None, :4]]).astype(np.float64)
        return Instances(everybody, len(kept), None, False)
    own = int(np.argmax(overlaps))
    return Instances(boxes[kept].astype(np.float64), own, (owner > 0) & (owner != own + 1), True)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    common = np.clip(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    union = (a[2:4] - a[:2]).prod() + (b[2:4] - b[:2]).prod() - common
    return float(common / union) if union > 0 else 0.0


class Detectron:
    """detectron2 in the Python that has it. The program ends with this object, or with `close`."""

    def __init__(self, python: str, weights: Path, device: str) -> None:
        """Start the program and wait until its network is loaded.

        Raises:
            ToolError: The program cannot be started, or lacks detectron2 or the weights.
        """
        folder = tempfile.mkdtemp(prefix="strata-detectron-")
        self._folder = Path(folder)
        self._tail: deque[str] = deque(maxlen=_TAIL)
        try:
            self._process = subprocess.Popen(
                [python, str(WORKER), str(weights), device],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
            )  # fmt: skip
        except OSError as error:
            shutil.rmtree(folder)
            raise ToolError(f"parsing/schp: {python} cannot be started: {error.strerror}") from None
        listener = threading.Thread(target=_listen, args=(self._process.stderr, self._tail), daemon=True)
        listener.start()
        self.close = weakref.finalize(self, _end, self._process, listener, folder)
        self._expect("ready")

    def __call__(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes (N, 4), scores (N,) and masks (N, H, W) bool of the people in a picture, surest first."""
        picture, result = self._folder / "picture.npy", self._folder / "result.npz"
        result.unlink(missing_ok=True)
        np.save(picture, np.ascontiguousarray(rgb[..., ::-1]))
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{picture}\t{result}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()
        self._expect("done")
        with np.load(result, allow_pickle=False) as found:
            masks = np.unpackbits(found["masks"], axis=-1, count=rgb.shape[1]).astype(bool)
            return found["boxes"], found["scores"], masks

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != word:
            self._fail()

    def _fail(self) -> None:
        self._process.kill()
        self.close()
        code = self._process.returncode
        told = "\n".join(f"    {line}" for line in self._tail)
        raise ToolError(f"parsing/schp: detectron2 ended with exit code {code}; the end of its log:\n{told}")


def _listen(stream: IO[str], tail: deque[str]) -> None:
    for line in stream:
        tail.append(line.rstrip())


def _end(process: subprocess.Popen[str], listener: threading.Thread, folder: str) -> None:
    """End the program and remove its files."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()  # type: ignore[union-attr]  # it is a pipe; its end ends the program
    try:
        process.wait(_PATIENCE_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    listener.join(_PATIENCE_s)
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.close()  # type: ignore[union-attr]
    shutil.rmtree(folder, ignore_errors=True)
