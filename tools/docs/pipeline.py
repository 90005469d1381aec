"""docs/pipeline.md: what each stage takes, gives, and can be run by."""

from __future__ import annotations

import inspect
import re

from workflow import zoo
from workflow.environments import ENVIRONMENTS
from workflow.stage import File, Port, Stage
from workflow.stages import PIPELINE, STAGES

_HEAD = """\
# The pipeline

Generated from `workflow/stages` by `make docs`; do not edit.

Each stage is one rule in `rules/`, one folder in `tools/` and one file in `workflow/stages/`. A backend is one module;
the configuration chooses it by name (`stages.<stage>.backend`).

## Stages

| stage | what it does | takes | gives | backends (default first) |
|---|---|---|---|---|
"""


def _port(port: Port) -> str:
    if isinstance(port, File):
        where = f" where `{port.when}` is true" if port.when else ""
        return f"`{port.path}`" + (" of every shard" if port.each else "") + where
    return f"`{port.name}`"


def _backends(stage: Stage) -> str:
    names = sorted(stage.backends, key=lambda name: (name != stage.default, name))
    return ", ".join(f"`{name}` ({stage.backends[name].summary})" for name in names)


def _fields(stage: Stage) -> list[str]:
    lines = []
    for port in stage.outputs:
        if isinstance(port, File):
            continue
        lines += [
            f"### {port.name} v{port.version}",
            "",
            inspect.getdoc(port) or "",
            "",
            "| field | axes | dtype | unit | frame | kept as |",
            "|---|---|---|---|---|---|",
        ]
        for name, spec in port.specs().items():
            axes = ", ".join(axis if size is None else f"{axis}={size}" for axis, size in spec.axes)
            kept = "npy" if spec.kind == "array" else f"{spec.codec} per frame"
            lines.append(f"| `{name}` | {axes} | {spec.dtype} | {spec.unit} | {spec.frame or ''} | {kept} |")
        if port.attributes():
            lines += ["", "Attributes: " + ", ".join(f"`{name}`" for name in port.attributes()) + "."]
        lines.append("")
    return lines


def _weights(stage: str, backend: str) -> str:
    """Entries of the zoo's list that name the backend, or one of the recipes that its settings choose from."""
    declared = STAGES[stage].backends[backend].weights
    recipes = tuple(template[len("for:") : template.index("{")] for template in declared if template.startswith("for:"))
    found: dict[str, None] = {}
    for entry in zoo.manifest().weights.values():
        if any(who == f"{stage}/{backend}" or (recipes and who.startswith(recipes)) for who in entry.backends):
            found[re.sub(r"-[0-9.]+b$", "-*", entry.name)] = None
    return ", ".join(found)


def page() -> str:
    """Text of the page."""
    lines = [_HEAD.rstrip("\n")]
    for stage in PIPELINE:
        takes = ", ".join(_port(port) for port in stage.inputs) or "nothing"
        gives = ", ".join(_port(port) for port in stage.outputs)
        lines.append(f"| {stage.name} | {stage.summary} | {takes} | {gives} | {_backends(stage)} |")
    lines += [
        "",
        "## Resources and environments",
        "",
        "| stage | backend | class | threads | memory, MB | environment | version | weights |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for stage in PIPELINE:
        for name, backend in stage.backends.items():
            need = backend.resources
            lines.append(
                f"| {stage.name} | {name} | {need.gpu_class} | {need.threads} | {need.mem_mb} | "
                f"`envs/{backend.env}.yaml` | {backend.version} | {_weights(stage.name, name)} |"
            )
    lines += ["", "| environment | for | packages it names |", "|---|---|---|"]
    for name, environment in ENVIRONMENTS.items():
        lines.append(f"| `{name}` | {environment.purpose} | {', '.join(environment.packages)} |")
    lines += ["", "## Artifacts", ""]
    lines += [
        "Between stages an artifact is one zip per shard under `work/<shard>/`, stored without compression:",
        "`header.json`, `<clip>/<field>.npy` for arrays, `<clip>/<field>/<frame>.<npy.zst|jpg>` for rasters.",
        "",
    ]
    for stage in PIPELINE:
        lines += _fields(stage)
    return "\n".join(lines).rstrip() + "\n"
