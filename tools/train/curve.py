"""The loss curve as a table and as a picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tools.train.loop import COLUMNS, DENOISER, PHASES
from tools.train.validation import COLUMNS as VALIDATION_COLUMNS

_SMOOTH_SHARE = 10  # a running mean over a tenth of the steps


def write_validation(rows: np.ndarray, path: Path) -> None:
    """Write the losses on held-out clips as CSV; the header alone where there are none.

    Args:
        rows: Shape (n, len(validation.COLUMNS)), float64.
        path: Where to.
    """
    lines = [",".join(VALIDATION_COLUMNS)]
    lines += [",".join([str(int(row[0])), *map(_cell, row[1:])]) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def write_table(curve: np.ndarray, path: Path) -> None:
    """Write the rows as CSV; a layer that was not in a batch has an empty cell.

    Args:
        curve: Shape (steps, len(COLUMNS)), float64.
        path: Where to.
    """
    lines = [",".join(COLUMNS)]
    for row in curve:
        cells = [
            str(int(row[0])),
            PHASES[int(row[1])],
            *map(_cell, row[2:]),
        ]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last `width` values at every place (fewer at the start); NaN is left out.

    Args:
        values: Shape (n,).
        width: At least 1.
    """
    known = ~np.isnan(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0))])
    count = np.concatenate([[0], np.cumsum(known)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    number = count[last] - count[first]
    return np.divide(total[last] - total[first], number, out=np.full(len(values), np.nan), where=number > 0)


def write_plot(curve: np.ndarray, path: Path, validation: np.ndarray | None = None) -> None:
    """Draw the losses of both phases as PNG; faint lines are single steps, strong ones running means.

    Args:
        curve: Shape (steps, len(COLUMNS)), float64.
        path: Where to.
        validation: Shape (n, len(validation.COLUMNS)): losses on held-out clips, drawn as points.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    phases = [phase for phase in range(len(PHASES)) if (curve[:, 1] == phase).any()]
    for place, phase in enumerate(phases, start=1):
        rows = curve[curve[:, 1] == phase]
        axes = figure.add_subplot(1, len(phases), place)
        width = max(3, len(rows) // _SMOOTH_SHARE)
        for column in range(2, 6 if phase == DENOISER else 3):
            values = rows[:, column]
            if np.isnan(values).all():
                continue
            (line,) = axes.plot(rows[:, 0], running_mean(values, width), label=COLUMNS[column])
            axes.plot(rows[:, 0], values, color=line.get_color(), alpha=0.25, linewidth=0.7)
        if phase == DENOISER and validation is not None and len(validation):
            axes.plot(validation[:, 0], validation[:, 1], "k.--", label="validation", linewidth=0.9)
        axes.set_title(PHASES[phase])
        axes.set_xlabel("step")
        axes.set_ylabel("mean squared error" if phase == DENOISER else "mean absolute error")
        if phase == DENOISER:  # the subject's errors are many times those of the scene
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=110)
