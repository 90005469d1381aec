"""The zoo: which weight files there are, which a backend needs, and where they lie. Nothing here downloads or loads.

`model_zoo/weights.yaml` is written in JSON, which is YAML too, so that the standard library reads it in every
environment. A weight is looked for in this order: the environment variable it names, its place below
`$SAPIENS_ROOT` where it has one, `model_zoo/weights` (or `$STRATA_WEIGHTS`), the checkpoint folder of `torch.hub`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from workflow import layout
from workflow.errors import ToolError
from workflow.stage import Backend, Params

MANIFEST = layout.repository / "model_zoo" / "weights.yaml"
FORMATS = ("torchscript", "state_dict", "safetensors", "onnx", "pickle", "npz", "npy", "obj", "yaml", "darknet", "text")
_WHOEVER = "for:"  # likewise: see `names`
_FILE = "file:"  # in `Backend.weights`: a file of the weights folder that a setting names
_AT = "at:"  # in `Backend.weights`: a file elsewhere, in a checkout that a setting names
_LOCK = "weights.lock.json"


@dataclass(frozen=True)
class Weight:
    """One weight file.

    Attributes:
        name: Key of the manifest.
        title: What it is.
        file: Where it goes, relative to the weights folder.
        format: How it is read, one of `FORMATS`; nothing else is tried.
        licence: Name of its licence.
        urls: Where it comes from, tried in order; `hf:owner/repository/path` is a file of the Hugging Face hub.
        page: Page that tells about it.
        form: How to get a file that may not be downloaded without asking; empty where no form is needed.
        bytes: Size, where published.
        sha256: Digest, where published; otherwise recorded when the file is first seen.
        archive: Archive it is a member of; then `member` is its path inside.
        member: See `archive`.
        variable: Environment variable that may name the file.
        lite: Path below `$SAPIENS_ROOT`.
        group: Name under which several files are fetched together.
        citation: Paper.
        backends: Who needs it, as "stage/backend", or "stage/recipe" where a setting decides.
    """

    name: str
    title: str
    file: str
    format: str
    licence: str
    urls: tuple[str, ...] = ()
    page: str = ""
    form: str = ""
    bytes: Optional[int] = None
    sha256: str = ""
    archive: str = ""
    member: str = ""
    variable: str = ""
    lite: str = ""
    group: str = ""
    citation: str = ""
    backends: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Archive:
    """A file that holds several weights: its name, its kind ("zip" or "tar"), and where it comes from."""

    name: str
    kind: str
    urls: tuple[str, ...]
    page: str = ""
    bytes: Optional[int] = None
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """Everything `weights.yaml` lists."""

    weights: dict[str, Weight]
    archives: dict[str, Archive]


@dataclass(frozen=True)
class Need:
    """A file that a backend needs under its settings.

    Attributes:
        name: Its name in the manifest; for a file that a setting names, the file's where the manifest does not know it.
        entry: Its entry of the manifest; None for a file that is not in it.
        path: Where it is; None where it is not there.
        expected: Where it is expected.
        elsewhere: Whether it belongs to a checkout, into which nothing is fetched.
    """

    name: str
    entry: Optional[Weight]
    path: Optional[Path]
    expected: Path
    elsewhere: bool = False


@dataclass(frozen=True)
class Lack:
    """A weight file that a chosen backend needs and that is not there.

    Attributes:
        stage: Stage.
        backend: Backend.
        path: Where the file is expected.
        weight: Its entry; None for a file that a setting names and the manifest does not know.
        fault: What is wrong with a file that is there; empty where it is absent.
        elsewhere: Whether it belongs to a checkout, into which nothing is fetched.
    """

    stage: str
    backend: str
    path: Path
    weight: Optional[Weight]
    fault: str = ""
    elsewhere: bool = False


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ToolError: The file is not JSON, or an entry has an unknown key or lacks one.
    """
    try:
        content = json.loads(path.read_text())
        weights = {name: _entry(Weight, name, entry) for name, entry in content["weights"].items()}
        archives = {name: _entry(Archive, name, entry) for name, entry in content.get("archives", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"{path}: is not a manifest of weights: {error}") from None
    return Manifest(weights, archives)


def _entry(kind: Any, name: str, entry: Mapping[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ValueError(f"{name}: unknown key {', '.join(unknown)}")
    return kind(name=name, **{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})


@functools.lru_cache(maxsize=1)
def manifest() -> Manifest:
    """The manifest of this repository."""
    return read(MANIFEST)


def weight(name: str) -> Weight:
    """Entry of a weight.

    Raises:
        ToolError: The manifest has no such entry.
    """
    try:
        return manifest().weights[name]
    except KeyError:
        raise ToolError(f"{name!r} is not in {MANIFEST.name}; `python -m tools zoo list` shows what is") from None


def needs(backend: Backend, params: Params) -> list[Need]:
    """Files that a backend needs under its settings.

    A declared name may hold settings in braces: "sapiens-depth-{size}". "for:train/{recipe}" stands for all weights
    that list the name behind the colon among those who need them, which may be none. "file:{file}" is a file of the
    weights folder; an empty setting names none. "at:{checkout}/data/x" is a file outside of it.
    """
    found: list[Need] = []
    for template in backend.weights:
        name = template.format(**vars(params))
        if name.startswith(_WHOEVER):
            who = name[len(_WHOEVER) :]
            found += [_declared(entry) for entry in manifest().weights.values() if who in entry.backends]
        elif name.startswith(_FILE):
            found += [_in_folder(name[len(_FILE) :])] if name != _FILE else []
        elif name.startswith(_AT):
            told = template[len(_AT) :].replace("{", "").replace("}", "")
            found.append(_in_checkout(told, Path(name[len(_AT) :]).expanduser()))
        else:
            found.append(_declared(weight(name)))
    return found


def _declared(entry: Weight) -> Need:
    return Need(entry.name, entry, locate(entry), places(entry)[0])


def _in_folder(file: str) -> Need:
    path = layout.WEIGHTS / file
    entry = next((entry for entry in manifest().weights.values() if entry.file == file), None)
    return Need(entry.name if entry else file, entry, path if path.is_file() else None, path)


def _in_checkout(name: str, path: Path) -> Need:
    """A file of a checkout keeps its own name, so that it may be another version than ours of the same name."""
    entry = next((entry for entry in manifest().weights.values() if Path(entry.file).name == path.name), None)
    return Need(name, entry, path if path.is_file() else None, path, elsewhere=True)


def names(backend: Backend, params: Params) -> list[str]:
    """Manifest names of the files that a backend needs under its settings; see `needs`."""
    return [need.name for need in needs(backend, params) if need.name in manifest().weights]


def own(entry: Weight, path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a file is the one that the entry's variable names: the user's own, whatever is published or pinned."""
    return bool(entry.variable and environ.get(entry.variable)) and path == places(entry, environ)[0]


def lock_file(folder: Optional[Path] = None) -> Path:
    """The user's pins."""
    return (folder or layout.WEIGHTS) / _LOCK


def pinned(entry: Weight, folder: Optional[Path] = None) -> dict[str, Any]:
    """What the user's lock file says of a weight: `sha256` and `bytes`; empty where it says nothing.

    Raises:
        ToolError: The lock file cannot be read.
    """
    path = lock_file(folder)
    try:
        found = json.loads(path.read_text()).get(entry.name, {})
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError):
        raise ToolError(f"{path}: is not JSON; mend or remove it") from None
    return found if isinstance(found, dict) else {}


def size(entry: Weight, folder: Optional[Path] = None) -> Optional[int]:
    """Bytes that a weight must have: pinned by the user, or published; None where neither is known."""
    return pinned(entry, folder).get("bytes", entry.bytes)


def hub_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Folder into which `torch.hub` puts checkpoints."""
    cache = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    home = environ.get("TORCH_HOME") or os.path.join(cache, "torch")  # noqa: PTH118
    return Path(home).expanduser() / "hub" / "checkpoints"


def published(entry: Weight) -> list[str]:
    """Names under which a file of Sapiens goes round, its own first: some hosts give it another one."""
    elsewhere = (url.rpartition("/")[2] for url in entry.urls) if entry.lite else ()
    return list(dict.fromkeys([Path(entry.file).name, *elsewhere]))


def lite_places(entry: Weight, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a file lies in the layout of Sapiens' lite host, below `$SAPIENS_ROOT` or with that as the host itself."""
    if not entry.lite or not environ.get("SAPIENS_ROOT"):
        return []
    root = Path(environ["SAPIENS_ROOT"]).expanduser()
    lite = [Path(entry.lite).with_name(name) for name in published(entry)]
    return [place for path in lite for place in (root / path, root / Path(*path.parts[1:]))]


def places(entry: Weight, environ: Mapping[str, str] = os.environ, folder: Optional[Path] = None) -> list[Path]:
    """Where a weight may lie, in the order in which it is looked for; a variable that is set is the only place."""
    if entry.variable and environ.get(entry.variable):
        return [Path(environ[entry.variable]).expanduser()]
    names = published(entry)
    own = [((folder or layout.WEIGHTS) / entry.file).with_name(name) for name in names]
    return [*lite_places(entry, environ), *own, *(hub_folder(environ) / name for name in names)]


def locate(entry: Weight, environ: Mapping[str, str] = os.environ, folder: Optional[Path] = None) -> Optional[Path]:
    """Path of a weight that is there; None where it is not."""
    return next((path for path in places(entry, environ, folder) if path.is_file()), None)


def paths(stage: str, backend_name: str, backend: Backend, params: Params) -> dict[str, Path]:
    """Paths of the files that a backend needs, by name.

    Raises:
        ToolError: Some are not there; says which, and how to get them.
    """
    lacks = lacking([(stage, backend_name, backend, params)])
    if lacks:
        raise ToolError(explain(lacks))
    return {need.name: need.path for need in needs(backend, params) if need.path is not None}


def lacking(choices: Iterable[tuple[str, str, Backend, Params]]) -> list[Lack]:
    """Weight files that are absent or whose size cannot be right.

    Args:
        choices: Stage name, backend name, backend and settings of everything that is to run.
    """
    found = []
    for stage, name, backend, params in choices:
        for need in needs(backend, params):
            if need.path is None:
                found.append(Lack(stage, name, need.expected, need.entry, elsewhere=need.elsewhere))
                continue
            if need.entry is None or need.elsewhere or own(need.entry, need.path):
                continue
            wanted, has = size(need.entry), need.path.stat().st_size
            if wanted is not None and has != wanted:
                found.append(Lack(stage, name, need.path, need.entry, f"has {has} bytes, expected {wanted}"))
    return found


def explain(lacks: Iterable[Lack]) -> str:
    """Message for the user: which stage, which file, where from, which command."""
    lines = ["weights are missing:"]
    for lack in lacks:
        lines.append(f"  stages.{lack.stage}, backend {lack.backend}: {lack.path} {lack.fault or 'is not there'}")
        entry = lack.weight
        if entry is None:
            where = "see docs/research-backends.md" if lack.elsewhere else "or name another file in the settings"
            lines.append(f"    put it there, {where}")
            continue
        lines.append(f"    {entry.title}; licence: {entry.licence}")
        if entry.form:
            lines.append(f"    {entry.form}")
        lines.append(f"    from {entry.page or next(iter(entry.urls), 'its authors')}")
        command = f"add {Path(entry.file).name} --as" if entry.form or not (entry.urls or entry.archive) else "fetch"
        lines.append(
            f"    python -m tools zoo {command} {entry.name}{' --again' if lack.fault and command == 'fetch' else ''}"
        )
        if lack.elsewhere:
            lines.append(f"    and then: install -D {layout.WEIGHTS / entry.file} {lack.path}")
        elif lack.fault:
            lines.append(f"    or, if this file is meant: python -m tools zoo add {lack.path} --as {entry.name} --mine")
    return "\n".join(lines)
