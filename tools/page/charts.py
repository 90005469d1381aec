"""Small charts as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH = 1000  # of a strip's coordinates; the page stretches it
_POINTS = 400
_LINE_HEIGHT = 40
_BAND_HEIGHT = 10
_BARS = 20
_BAR_WIDTH, _BAR_HEIGHT = 10, 48


def _svg(height: int, label: str, body: str, kind: str) -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def _marks(frames: int, moments: Sequence[int], height: int) -> str:
    places = (f"M{(at + 0.5) / frames * WIDTH:.1f} 0V{height}" for at in moments)
    return f'<path class="mark" d="{"".join(places)}"/>'


def band(flags: np.ndarray, moments: Sequence[int], label: str) -> Markup:
    """Strip over time, filled where a flag is set.

    Args:
        flags: (T,) bool, T at least 1.
        moments: Frames to mark.
        label: For those who cannot see it.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    scale = WIDTH / len(flags)
    runs = (
        f"M{start * scale:.1f} 0H{end * scale:.1f}V{_BAND_HEIGHT}H{start * scale:.1f}z"
        for start, end in zip(edges[::2], edges[1::2])
    )
    return _svg(
        _BAND_HEIGHT, label, f'<path class="fill" d="{"".join(runs)}"/>{_marks(len(flags), moments, _BAND_HEIGHT)}',
        "strip band",
    )  # fmt: skip


def line(
    values: np.ndarray, known: np.ndarray, top: float, moments: Sequence[int], label: str, floor: float = 0.0
) -> Markup:
    """Strip over time with a line, broken where nothing is known. Long clips are averaged to a few hundred points.

    Args:
        values: (T,), T at least 1.
        known: (T,) bool.
        top: Value at the upper edge.
        moments: Frames to mark.
        label: For those who cannot see it.
        floor: Value at the lower edge.
    """
    frames = len(values)
    points = min(frames, _POINTS)
    place = np.arange(frames) * points // frames
    count = np.bincount(place, known, points)
    total = np.bincount(place, np.where(known, values, 0.0), points)
    path, open_ = [], False
    for index in range(points):
        if not count[index]:
            open_ = False
            continue
        height = (total[index] / count[index] - floor) / max(top - floor, 1e-9)
        x, y = (index + 0.5) / points * WIDTH, (1 - min(max(height, 0.0), 1.0)) * (_LINE_HEIGHT - 2) + 1
        path.append(f"{'L' if open_ else 'M'}{x:.1f} {y:.1f}" + ("" if open_ else "h.1"))
        open_ = True
    body = f'{_marks(frames, moments, _LINE_HEIGHT)}<path class="line" d="{"".join(path)}"/>'
    return _svg(_LINE_HEIGHT, label, body, "strip")


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: values in [low, high), the last one with its end."""

    low: float
    high: float
    count: int


def bars(values: Sequence[float]) -> list[Bar]:
    """Histogram of at least one value; a single bar where all are the same."""
    data = np.asarray(values, np.float64)
    low, high = float(data.min()), float(data.max())
    if high - low <= 1e-9 * max(abs(high), 1e-9):
        return [Bar(low, high, len(data))]
    counts, edges = np.histogram(data, bins=_BARS)
    return [Bar(float(a), float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts)]


def histogram(name: str, found: Sequence[Bar], told: Sequence[str]) -> Markup:
    """Histogram whose bars lead to the clips they count.

    Args:
        name: Figure, for whoever follows a bar (`data-figure`, `data-bar`).
        found: Bars.
        told: What each says when pointed at.
    """
    most = max(bar.count for bar in found)
    left = (_BARS - len(found)) // 2 * _BAR_WIDTH  # a single value stands in the middle
    body = []
    for index, (bar, text) in enumerate(zip(found, told)):
        if not bar.count:
            continue
        x, height = left + index * _BAR_WIDTH, max(round(bar.count / most * _BAR_HEIGHT), 3)
        body.append(
            f'<a href="#clips" data-figure="{escape(name)}" data-bar="{index}" aria-label="{escape(text)}">'
            f"<title>{escape(text)}</title>"
            f'<rect class="reach" x="{x}" y="0" width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}"/>'
            f'<rect class="bar" x="{x + 0.5}" y="{_BAR_HEIGHT - height}" width="{_BAR_WIDTH - 1}" '
            f'height="{height}"/></a>'
        )
    return Markup(
        f'<svg class="histogram" viewBox="0 0 {_BAR_WIDTH * _BARS} {_BAR_HEIGHT}" preserveAspectRatio="none" '
        f'role="group" aria-label="distribution of {escape(name)}">{"".join(body)}</svg>'
    )
