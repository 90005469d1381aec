"""TensorBoard's view of a run. The table is the truth; this is for looking while the run goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class Board:
    """Event files of a run. What a killed process had written beyond its last state is hidden when it goes on."""

    def __init__(self, folder: Path, done: int) -> None:
        """Open a new event file that goes on after `done` steps."""
        _wait_for_the_next_second(folder)
        self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """Add numbers of a step as "<group>/<name>"; NaN is left out."""
        for name, value in values.items():
            if not math.isnan(value):
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Bring everything to the disk; before a state is saved, so that no step of it can be missing here."""
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def _wait_for_the_next_second(folder: Path) -> None:
    """Readers take event files in the order of their names, which tell the time of their start in whole seconds only.

    Of two files of one second, process number and counter would decide, compared as text.
    """
    now = int(time.time())
    if any(folder.glob(f"events.out.tfevents.{now:010d}.*")):
        time.sleep(max(0.0, now + 1 - time.time()))
