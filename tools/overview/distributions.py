"""How every quality figure is spread over the clips."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from markupsafe import Markup

from tools.page import charts
from tools.page.figures import figure, in_order, shown, spanned
from tools.page.words import counted

Values = Mapping[str, Sequence[Optional[float]]]


@dataclass(frozen=True)
class Spread:
    """One figure.

    Attributes:
        name: "<stage>.<name>".
        stage: Its stage.
        about: What it means.
        told: Smallest and largest value, and the median.
        odd: How many clips are worth a look.
        hint: By which rule.
        chart: Histogram; bars carry `data-figure` and `data-bar`.
        bars: Its bars.
    """

    name: str
    stage: str
    about: str
    told: str
    odd: int
    hint: str
    chart: Markup
    bars: tuple[charts.Bar, ...]


def spreads(values: Values) -> list[Spread]:
    """Distributions of all figures that any clip has.

    Args:
        values: By name, one for every clip; None where it has none.
    """
    found = []
    for name in in_order(values):
        known = sorted(value for value in values[name] if value is not None)
        if not known:
            continue
        what = figure(name)
        bars = charts.bars(known)
        told = [f"{counted(bar.count, 'clip')}: {spanned(bar.low, bar.high, what.unit)}" for bar in bars]
        spread = spanned(known[0], known[-1], what.unit)
        if known[0] != known[-1]:
            spread += f", median {shown(statistics.median(known), what.unit)}"
        found.append(
            Spread(
                name=name,
                stage=name.partition(".")[0],
                about=what.about,
                told=spread,
                odd=sum(map(what.is_odd, known)),
                hint=what.hint,
                chart=charts.histogram(name, bars, told),
                bars=tuple(bars),
            )
        )
    return found
