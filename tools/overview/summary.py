"""What the data set holds, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Clip = Mapping[str, Any]  # a row of the index

STORED, REJECTED, WITHDRAWN, PENDING = "stored", "rejected", "withdrawn", "pending"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ANY_NUMBER = "\u2026"
_LISTED = 50


@dataclass(frozen=True)
class Amount:
    """How much there is of something.

    Attributes:
        name: Of what.
        clips: Stored clips.
        frames: Their frames.
        seconds: Their duration.
        subjects: Names of people in them.
        shards: Shards they lie in.
    """

    name: str
    clips: int
    frames: int
    seconds: float
    subjects: int
    shards: int

    @property
    def minutes(self) -> str:
        """Duration, short."""
        return f"{self.seconds / 60:,.1f}"


@dataclass(frozen=True)
class Reason:
    """Why clips are not in the data set.

    Attributes:
        stage: Who said so.
        text: The reason; numbers that differ from clip to clip are left out.
        clips: Those it holds for.
    """

    stage: str
    text: str
    clips: tuple[Clip, ...]

    @property
    def listed(self) -> tuple[Clip, ...]:
        """The first ones."""
        return self.clips[:_LISTED]

    @property
    def unlisted(self) -> int:
        """How many more there are."""
        return len(self.clips) - len(self.listed)


def is_file(row: Clip) -> bool:
    """Whether a row stands for a file that gave no clip."""
    return row["source_end"] is None


def seconds(row: Clip) -> float:
    """Duration of a stored clip."""
    return row["length"] / row["fps"] if row["fps"] else 0.0


def amount(name: str, stored: Sequence[Clip]) -> Amount:
    """Count stored clips."""
    return Amount(
        name,
        len(stored),
        sum(row["length"] for row in stored),
        sum(map(seconds, stored)),
        len({row["subject"] for row in stored if row["subject"]}),
        len({(row["split"], row["shard"]) for row in stored}),
    )


def amounts(stored: Sequence[Clip], column: str, order: Sequence[str] = ()) -> list[Amount]:
    """Count stored clips by what a column says; first in the order given, then by name, the empty one last."""
    groups: dict[str, list[Clip]] = {}
    for row in stored:
        groups.setdefault(row[column] or "", []).append(row)

    def place(name: str) -> tuple[int, bool, str]:
        return (order.index(name) if name in order else len(order), not name, name)

    return [amount(name, groups[name]) for name in sorted(groups, key=place)]


def reasons(rows: Iterable[Clip]) -> list[Reason]:
    """Group by stage and reason, the most frequent first."""
    groups: dict[tuple[str, str], list[Clip]] = {}
    for row in rows:
        groups.setdefault((row["stage"], _NUMBER.sub(_ANY_NUMBER, row["reason"])), []).append(row)
    found = []
    for (stage, pattern), members in groups.items():
        same = len(Counter(row["reason"] for row in members)) == 1
        found.append(Reason(stage, members[0]["reason"] if same else pattern, tuple(members)))
    return sorted(found, key=lambda reason: (-len(reason.clips), reason.stage, reason.text))
