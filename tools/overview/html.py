"""The front page of the report, one self-contained HTML file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tools.overview import summary
from tools.overview.distributions import Spread, spreads
from tools.overview.posters import posters
from tools.page.figures import figure
from tools.page.render import embedded, render
from workflow.catalog import SPLITS
from workflow.stages.report import OverviewParams
from workflow.store import replacing

_TEMPLATE = Path(__file__).with_name("overview.html.j2")
_QUALITY = "quality."
_DIGITS = 9  # of figures in the table: short, and a clip still falls in the bar that counts it
_FIRST_FIGURE = "shards.valid_share"


def run(params: OverviewParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the page. The same index and pages give the same bytes.

    Args:
        params: Settings.
        inputs: `index`: the Parquet file; `pages`: the page of every shard.
        outputs: `overview`: the HTML file.
    """
    index, pages = inputs["index"], inputs["pages"]
    assert isinstance(index, Path) and isinstance(pages, list)
    table = pq.read_table(index)
    rows = table.to_pylist()
    links = {f"{page.parent.name}/{page.stem}": page for page in sorted(pages, key=str)}
    names = [name for name in table.column_names if name.startswith(_QUALITY)]
    clips = [row for row in rows if not summary.is_file(row)]
    values = {name.removeprefix(_QUALITY): [row[name] for row in clips] for name in names}
    found = spreads(values)
    digest = (table.schema.metadata or {}).get(b"dataset_digest", b"").decode()
    page = render(
        _TEMPLATE,
        digest=digest,
        **_contents(rows, links),
        spreads=found,
        stages=list(dict.fromkeys(spread.stage for spread in found)),
        data=embedded(_table(clips, values, found, links, posters(links.values(), params.thumbnails))),
    )
    with replacing(outputs["overview"]) as partial:
        partial.write_text(page, encoding="utf-8")


def _contents(rows: Sequence[summary.Clip], links: Mapping[str, Path]) -> dict[str, Any]:
    """What the page tells in words and small tables."""
    clips = [row for row in rows if not summary.is_file(row)]
    by_status = {
        status: [row for row in clips if row["status"] == status]
        for status in (summary.STORED, summary.REJECTED, summary.WITHDRAWN, summary.PENDING)
    }
    stored = by_status[summary.STORED]
    members: dict[str, list[summary.Clip]] = {name: [] for name in links}
    for row in stored:
        members.setdefault(_place(row), []).append(row)
    rejected = Counter(_place(row) for row in by_status[summary.REJECTED])
    return {
        "total": summary.amount("all", stored),
        "counts": {status: len(members) for status, members in by_status.items()},
        "videos": len({row["video_sha256"] for row in rows}),
        "splits": summary.amounts(stored, "split", SPLITS),
        "sources": summary.amounts(stored, "source"),
        "licences": summary.amounts(stored, "licence"),
        "consents": summary.amounts(stored, "consent"),
        "rejections": summary.reasons(by_status[summary.REJECTED]),
        "withdrawals": summary.reasons(by_status[summary.WITHDRAWN]),
        "unread": summary.reasons(row for row in rows if summary.is_file(row)),
        "shards": [(f"{name}.html", summary.amount(name, members[name]), rejected[name]) for name in links],
    }


def _place(row: summary.Clip) -> str:
    return f"{row['split']}/{row['shard']}"


def _table(
    clips: Sequence[summary.Clip],
    values: Mapping[str, Sequence[float | None]],
    found: Sequence[Spread],
    links: Mapping[str, Path],
    pictures: Mapping[str, str],
) -> dict[str, Any]:
    """What the table's script works on; `table.js` names the columns of a row in the same order."""
    return {
        "rows": [
            [
                row["id"],
                row["status"],
                row["split"],
                row["shard"],
                row["length"],
                round(summary.seconds(row), 1) if row["length"] is not None else None,
                row["video"].rpartition("/")[2],
                row["licence"],
                row["consent"],
                row["subject"],
                f"{row['stage']}: {row['reason']}" if row["stage"] else row["reason"],
                odd if row["status"] == summary.STORED else None,
                _place(row) in links and row["status"] in (summary.STORED, summary.REJECTED),
            ]
            for row, odd in zip(clips, _odd(values, len(clips)))
        ],
        "figures": {
            spread.name: [None if value is None else float(f"{value:.{_DIGITS}g}") for value in values[spread.name]]
            for spread in found
        },
        "bars": {
            spread.name: [[float(f"{edge:.{_DIGITS}g}") for edge in (bar.low, bar.high)] for bar in spread.bars]
            for spread in found
        },
        "units": {spread.name: figure(spread.name).unit for spread in found},
        "odd": {
            spread.name: [edge if math.isfinite(edge) else None for edge in (what.below, what.above)]
            for spread in found
            if (what := figure(spread.name)).hint
        },
        "first": _FIRST_FIGURE if any(spread.name == _FIRST_FIGURE for spread in found) else "",
        "posters": {
            row["id"]: pictures[row["id"]] for row in clips if row["status"] == summary.STORED and row["id"] in pictures
        },
    }


def _odd(values: Mapping[str, Sequence[float | None]], clips: int) -> list[int]:
    """How many figures of each clip are worth a look."""
    counts = [0] * clips
    for name, numbers in values.items():
        what = figure(name)
        for index, number in enumerate(numbers):
            counts[index] += number is not None and what.is_odd(number)
    return counts
