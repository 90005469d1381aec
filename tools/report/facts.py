"""What is known of a clip and how it was made, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tools.page.figures import figure, in_order, shown
from workflow.shard_reader import Clip, Shard


@dataclass(frozen=True)
class Measured:
    """A quality figure of a clip."""

    name: str
    value: str
    about: str
    hint: str
    odd: bool


@dataclass(frozen=True)
class Made:
    """How a stage's output was made."""

    stage: str
    backend: str
    settings: str
    packages: str
    commit: str


def measured(quality: Mapping[str, float]) -> list[Measured]:
    """Figures of a clip with unit and meaning, by stage in the order of the pipeline."""
    found = []
    for name in in_order(quality):
        value, what = quality[name], figure(name)
        found.append(Measured(name, shown(value, what.unit), what.about, what.hint, what.is_odd(value)))
    return found


def source(shard: Shard, clip: Clip) -> list[tuple[str, str]]:
    """Facts about the source of a clip."""
    about = clip.metadata
    rate = float(Fraction(about["fps"]))
    first, last = about.get("first_us"), about.get("last_us")
    span = f"frames {about['start']} to {about['end'] - 1}"
    if first is not None and last is not None:
        span += f", {first / 1e6:.2f} to {last / 1e6:.2f} s"
    transform = shard.array("crop_from_source").read(clip.start, clip.start + clip.length)[:, 0, 0]
    zoom = (
        f"{transform.min():.2f}"
        if transform.min() == transform.max()
        else f"{transform.min():.2f} to {transform.max():.2f}"
    )
    facts = [
        ("Clip", f"{clip.length:,} frames, {clip.length / clip.fps:.1f} s at {clip.fps:.4g} frames/s"),
        ("Crop", f"{shard.width} x {shard.height} px, {zoom} px per source pixel"),
        (
            "Source",
            f"{about['width']} x {about['height']} px, {rate:.4g} frames/s, {about.get('codec') or 'codec unknown'}",
        ),
        ("Span", span),
        ("Colour", ", ".join(str(about[key]) for key in ("matrix", "primaries", "transfer", "range") if key in about)),
    ]
    flags = [name for name in ("interlaced", "alpha", "damaged") if about.get(name)]
    if about.get("rotation"):
        flags.append(f"turned by {about['rotation']:g} degrees")
    if about.get("subject"):
        flags.append(f"person {about['subject'] + 1} by prominence")
    if flags:
        facts.append(("Notable", ", ".join(flags)))
    facts += [(name.capitalize(), str(about[name])) for name in ("licence", "consent", "notes") if about.get(name)]
    facts += [("Video SHA-256", about["sha256"]), ("Clip digest", clip.digest)]
    return facts


def provenance(attributes: Mapping[str, Any]) -> list[Made]:
    """How every stage's output was made."""
    found = []
    for stage, record in attributes["provenance"].items():
        settings = record.get("settings", {})
        packages = record.get("packages", {})
        found.append(
            Made(
                stage,
                f"{record.get('backend', '')} v{record.get('version', '')}",
                ", ".join(f"{key}: {json.dumps(value)}" for key, value in settings.items()) or "none",
                ", ".join(f"{name} {version}" for name, version in packages.items()),
                str(record.get("commit", "")),
            )
        )
    return found
