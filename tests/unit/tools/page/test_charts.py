"""Small charts."""

import re

import numpy as np

from tools.page import charts


def path(chart, kind):
    return re.search(rf'class="{kind}" d="([^"]*)"', str(chart)).group(1)


def test_a_band_covers_exactly_what_is_set():
    chart = charts.band(np.array([False, True, True, False, True]), [2], "valid")
    assert path(chart, "fill") == "M200.0 0H600.0V10H200.0zM800.0 0H1000.0V10H800.0z"
    assert path(chart, "mark").startswith("M500.0 ")


def test_a_line_breaks_where_nothing_is_known():
    values = np.array([0.0, 1.0, 99.0, 1.0, 0.0])
    drawn = path(charts.line(values, values < 50, 1.0, [], "error"), "line")
    assert drawn.count("M") == 2
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn)
    assert [float(x) for x, _ in points] == [100, 300, 700, 900]
    assert float(points[0][1]) > float(points[1][1])  # larger is higher


def test_a_long_clip_does_not_make_a_long_line():
    values = np.sin(np.arange(100_000) / 500)
    chart = charts.line(values, np.ones(len(values), bool), 1.0, [], "wave", floor=-1.0)
    assert len(chart) < 10_000


def test_bars_count_every_value_once():
    values = np.random.default_rng(0).normal(size=1000)
    bars = charts.bars(values)
    assert sum(bar.count for bar in bars) == 1000
    assert bars[0].low == values.min() and bars[-1].high == values.max()
    assert charts.bars([0.5, 0.5]) == [charts.Bar(0.5, 0.5, 2)]


def test_a_histogram_leads_to_its_bars():
    bars = charts.bars([0.0, 0.0, 1.0])
    chart = str(charts.histogram("a.b<c", bars, [f"{bar.count} <clips>" for bar in bars]))
    assert re.findall(r'data-bar="(\d+)"', chart) == ["0", str(len(bars) - 1)]
    assert "<clips>" not in chart and "b<c" not in chart
