"""From `config.yaml` to a checked configuration. Every fault is reported at once, before any job starts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union, get_type_hints

from pydantic import TypeAdapter, ValidationError

from workflow.errors import ConfigError
from workflow.rendered import ANNOTATIONS, TRUTH
from workflow.stage import Backend, Params, Stage
from workflow.stages import STAGES


@dataclass(frozen=True)
class Splits:
    """Shares of the data set; a video, or all videos of a named subject, goes to one split."""

    train: float = 0.9
    val: float = 0.05
    test: float = 0.05


@dataclass(frozen=True)
class Synthetic:
    """Rendered clips that enter the catalog with the others; shares are of these clips, 0 to 1."""

    clips: int = 0  # motions to render; 0 renders none
    seconds: float = 2.0  # of each clip
    fps: float = 24.0  # frames per second
    height: int = 512  # px, even
    width: int = 512  # px, even
    cameras: int = 1  # views of each motion, from different directions
    seed: int = 0  # other seeds, other clips
    motions: str = ""  # folder of AMASS-style .npz files, searched with all below it; empty: built-in motions only
    everything: bool = False  # truth of what is not the subject, too: depth, normals, flow, clean background
    street: float = 0.5  # share out of doors
    moving: float = 0.5  # share with a camera that pans, rolls or is held by hand
    occluded: float = 0.3  # share with a thing in front of the subject
    company: float = 0.25  # share with another person who passes
    hard: float = 0.2  # share that is dim, noisy, blurred or strongly compressed
    focal: float = 0.2  # share with a wide or long lens
    recorded: float = 1.0  # share that takes its motion from `motions`, where there are any
    backgrounds: str = ""  # folder of photographs, searched with all below it, that stand round people; empty: none
    photographed: float = 1.0  # share before one of `backgrounds`, where there are any
    cut: float = 0.0  # share in which another camera takes over in the middle, so that the catalog makes two clips
    distorted: float = 0.0  # share with a lens that bends straight lines


@dataclass(frozen=True)
class Settings:
    """Top-level keys of `config.yaml`."""

    videos: Union[str, list[str]]  # folders, globs and files
    subjects: int = 1  # people per span of video; each becomes a clip of its own
    max_clip_frames: int = 300  # longer shots are split
    min_clip_frames: int = 2  # shorter ones are rejected
    shard_frames: int = 2_000  # frames in a shard, at most (one clip may exceed it)
    splits: Splits = field(default_factory=Splits)  # shares of videos, with a sum of 1
    fps: Optional[float] = None  # resample to this rate; null keeps every frame
    max_side: Optional[int] = None  # px; larger sources are scaled down; null keeps the size
    height: int = 512  # px, of the training frames; a multiple of 8
    width: int = 512  # px
    synthetic: Synthetic = field(default_factory=Synthetic)  # clips to render in addition
    annotations: str = "estimated"  # of rendered clips: estimated as of footage, or truth, which sets `everything`
    stages: dict[str, Any] = field(default_factory=dict)  # per stage: backend, params


SYNTHETIC_SHARES = (
    "street", "moving", "occluded", "company", "hard", "focal", "recorded", "photographed", "cut", "distorted",
)  # fmt: skip

# Top-level keys that are settings of a stage, so that common ones need no nesting.
SHORTCUTS = {"fps": "frames", "max_side": "frames", "height": "crop", "width": "crop"}


@dataclass(frozen=True)
class Choice:
    """Backend and settings of one stage."""

    stage: Stage
    name: str
    backend: Backend
    params: Params


@dataclass(frozen=True)
class Config:
    """A configuration that can run."""

    settings: Settings
    choices: dict[str, Choice]

    def catalog_settings(self) -> dict[str, Any]:
        """What decides which clips there are."""
        videos = self.settings.videos
        return {
            "videos": [videos] if isinstance(videos, str) else list(videos),
            "max_clip_frames": self.settings.max_clip_frames,
            "min_clip_frames": self.settings.min_clip_frames,
            "shard_frames": self.settings.shard_frames,
            "subjects": self.settings.subjects,
            "splits": dataclasses.asdict(self.settings.splits),
        }


def _unknown(kind: Any, value: Mapping[str, Any], where: str) -> list[str]:
    """Faults of keys that a section and the sections in it do not have."""
    known = {f.name for f in dataclasses.fields(kind)}
    faults = [f"{where}{key}: unknown key; one of {', '.join(sorted(known))}" for key in value if key not in known]
    for key, kind_of_field in get_type_hints(kind).items():
        inner = value.get(key)
        if dataclasses.is_dataclass(kind_of_field) and isinstance(inner, Mapping):
            faults += _unknown(kind_of_field, inner, f"{where}{key}.")
    return faults


def _validated(
    kind: Any, value: Mapping[str, Any], where: str, faults: list[str], required: Mapping[str, Any] = {}
) -> tuple[Any, set[str]]:
    """Validate one section strictly; add its faults with their place.

    Args:
        kind: Dataclass of the section.
        value: What is given.
        where: Place, put before each fault.
        faults: Taken further.
        required: Values that stand in for keys without a default, so that the others can be checked without them.

    Returns:
        The section, as if the keys that are wrong were not there; and those keys.
    """
    faults += _unknown(kind, value, where)
    known = {f.name for f in dataclasses.fields(kind)}
    section = {**required, **{key: item for key, item in value.items() if key in known}}
    adapter = TypeAdapter(kind)
    wrong: set[str] = set()
    try:
        return adapter.validate_json(
            json.dumps(section, default=str), strict=True
        ), wrong  # YAML reads some names as dates
    except ValidationError as error:
        told: dict[str, list[str]] = {}
        for item in error.errors():
            wrong.add(str(item["loc"][0]))
            path = ".".join(
                str(part) for part in item["loc"] if not str(part).startswith(("list[", "str", "function-"))
            )
            found = "" if item["type"] == "missing" else f" (found {item['input']!r})"
            told.setdefault(f"{path}{found}", []).append(f"{item['msg'][0].lower()}{item['msg'][1:]}")
        for key, messages in told.items():  # several where a union allows several types
            path, bracket, found = key.partition(" (found ")
            faults.append(f"{where}{path}: {' or '.join(messages)}{bracket}{found}")
    rest = {**required, **{key: item for key, item in section.items() if key not in wrong}}
    return adapter.validate_json(json.dumps(rest, default=str), strict=True), wrong


def _settings_faults(settings: Settings) -> list[str]:
    faults = []
    if not settings.videos and not settings.synthetic.clips:
        faults.append("videos: is empty, expected at least one folder, glob or file")
    entries = [settings.videos] if isinstance(settings.videos, str) else settings.videos
    if settings.videos and not all(entry.strip() for entry in entries):
        faults.append("videos: holds an empty name; name a folder, glob or file, `.` for the working directory")
    for key, low in (("subjects", 1), ("max_clip_frames", 2), ("min_clip_frames", 1), ("shard_frames", 1)):
        if getattr(settings, key) < low:
            faults.append(f"{key}: is {getattr(settings, key)}, expected at least {low}")
    if settings.min_clip_frames > settings.max_clip_frames:
        faults.append(
            f"min_clip_frames: is {settings.min_clip_frames}, expected at most max_clip_frames "
            f"({settings.max_clip_frames})"
        )
    made = settings.synthetic
    for key, least, most in (("clips", 0, 1_000_000), ("cameras", 1, 64), ("seconds", 0.1, 600), ("fps", 1, 240),
                             ("height", 64, 4096), ("width", 64, 4096), ("seed", 0, 2**31),
                             *((name, 0, 1) for name in SYNTHETIC_SHARES)):  # fmt: skip
        if not least <= getattr(made, key) <= most:
            faults.append(f"synthetic.{key}: is {getattr(made, key)}, expected {least} to {most}")
    for key in ("height", "width"):
        if getattr(made, key) % 2:
            faults.append(f"synthetic.{key}: is {getattr(made, key)}, expected an even number")
    shares = dataclasses.astuple(settings.splits)
    if not (min(shares) >= 0 and abs(sum(shares) - 1) <= 1e-6):
        faults.append(f"splits: shares are {shares}, expected none negative and a sum of 1")
    return faults


def _truth_faults(settings: Settings, choices: Mapping[str, Choice]) -> list[str]:
    """What keeps the truth of rendered clips from fitting what the stages make of them."""
    if settings.annotations not in ANNOTATIONS:
        return [f"annotations: is {settings.annotations!r}, expected one of {', '.join(ANNOTATIONS)}"]
    if settings.annotations != TRUTH:
        return []
    faults, made = [], settings.synthetic
    frames = choices["frames"].params
    fps, side = getattr(frames, "fps", None), getattr(frames, "max_side", None)
    if fps is not None and fps != made.fps:
        faults.append(
            f"annotations: truth is of every rendered frame, but fps is {fps:g}; set synthetic.fps to {fps:g}, "
            "or fps to null"
        )
    if side is not None and side < max(made.height, made.width):
        faults.append(
            f"annotations: truth is of {made.height} x {made.width} px, but max_side is {side}; make synthetic.height "
            "and synthetic.width no larger"
        )
    if choices["body_model"].name != "anny":
        faults.append(
            f"annotations: truth is of the body that is rendered, but body_model's backend is "
            f"{choices['body_model'].name!r}; use anny, or annotations: estimated"
        )
    return faults


def _choice(
    stage: Stage, section: Any, settings: Settings, given: Mapping[str, Any], faults: list[str]
) -> Choice | None:
    where = f"stages.{stage.name}"
    if not isinstance(section, Mapping):
        faults.append(f"{where}: is {section!r}, expected `backend:` and `params:`")
        return None
    for key in section:
        if key not in ("backend", "params"):
            faults.append(f"{where}.{key}: unknown key; one of backend, params")
    name = section.get("backend", stage.default)
    if name not in stage.backends:
        faults.append(f"{where}.backend: unknown backend {name!r}; one of {', '.join(stage.backends)}")
        return None
    backend = stage.backends[name]
    params = section.get("params") or {}
    if not isinstance(params, Mapping):
        faults.append(f"{where}.params: is {params!r}, expected keys with values")
        return None
    merged = dict(params)
    known = {f.name for f in dataclasses.fields(backend.params)}
    for key, target in SHORTCUTS.items():
        if target != stage.name:
            continue
        if key in given and key in params:
            faults.append(f"{where}.params.{key}: also set by the top-level key {key!r}; keep one of them")
        elif key in given and key not in known:
            faults.append(f"{key}: has no effect, backend {name!r} of {where} has no such setting; remove it")
        elif key in given:
            merged[key] = getattr(settings, key)
    validated, _ = _validated(backend.params, merged, f"{where}.params.", faults)
    faults.extend(f"{where}.params.{fault}" for fault in validated.faults())
    return Choice(stage, name, backend, validated)


def _latents_faults(choices: Mapping[str, Choice]) -> list[str]:
    """What keeps the trainer from reading the latents it asks for."""
    train, made = choices["train"].params, choices["latents"].params
    recipes = getattr(train, "recipe", ""), getattr(made, "recipe", "")
    if not getattr(train, "latents", False) or recipes[0] == recipes[1]:
        return []
    return [
        f"stages.latents.params.recipe: is {recipes[1]!r}, but stages.train.params has latents: true and recipe "
        f"{recipes[0]!r}; name the same recipe in both"
    ]


def _judging(choices: Mapping[str, Choice]) -> Choice:
    """The accuracy stage, told which backends and settings of the other stages it is to judge."""
    choice = choices["accuracy"]
    if getattr(choice.params, "chain", ""):
        return choice
    chain = {
        name: {"backend": c.name, "version": c.backend.version, "params": dataclasses.asdict(c.params)}
        for name, c in choices.items()
        if c.stage.per_clip
    }
    told = dataclasses.replace(choice.params, chain=json.dumps(chain, sort_keys=True))
    return dataclasses.replace(choice, params=told)


def parse(raw: Mapping[str, Any]) -> Config:
    """Check a configuration.

    Args:
        raw: Contents of `config.yaml`, `--config` already merged in.

    Raises:
        ConfigError: Lists every fault, one a line.
    """
    faults: list[str] = []
    if "videos" not in raw:
        faults.append("videos: missing; name a folder, glob or file, such as `videos: [footage]`")
    settings, wrong = _validated(Settings, raw, "", faults, {"videos": ["-"]})
    given = {key: value for key, value in raw.items() if key not in wrong}
    choices: dict[str, Choice] = {}
    faults.extend(_settings_faults(settings))
    for name in settings.stages:
        if name not in STAGES:
            faults.append(f"stages.{name}: unknown stage; one of {', '.join(STAGES)}")
    for name, stage in STAGES.items():
        choice = _choice(stage, settings.stages.get(name) or {}, settings, given, faults)
        if choice is not None:
            choices[name] = choice
    if {"frames", "body_model"} <= set(choices):
        faults.extend(_truth_faults(settings, choices))
    if {"train", "latents"} <= set(choices):
        faults.extend(_latents_faults(choices))
    if settings.annotations == TRUTH:
        made = dataclasses.replace(settings.synthetic, everything=True)
        settings = dataclasses.replace(settings, synthetic=made)
    if not faults and "accuracy" in choices:
        choices["accuracy"] = _judging(choices)
    if faults:
        raise ConfigError("config.yaml:\n" + "\n".join(f"  {fault}" for fault in faults))
    return Config(settings, choices)
