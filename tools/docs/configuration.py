"""docs/configuration.md and the JSON schema, from the settings' dataclasses and the comments beside their fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from typing import Any

from pydantic import TypeAdapter

from workflow.config import SHORTCUTS, Settings, Splits, Synthetic
from workflow.stages import PIPELINE

_HEAD = """\
# Configuration

Generated from `workflow/config.py` and `workflow/stages` by `make docs`; do not edit.

`config.yaml` is read from the repository; `--config key=value` and `--configfile mine.yaml` override it. Only `videos`
is required. Unknown keys, wrong types and values that cannot work are reported all at once, before anything runs.
`workflow/config.schema.json` lets an editor check the file while it is written.
"""


def _comments(kind: type) -> dict[str, str]:
    """Comment beside each field of a dataclass."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for item in definition.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            _, _, comment = lines[(item.end_lineno or item.lineno) - 1].partition("  # ")
            found[item.target.id] = comment
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return json.dumps(field.default)
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return json.dumps(dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value)  # type: ignore[arg-type]
    return "required"


def _type(field: dataclasses.Field[Any]) -> str:
    text = re.sub(r"Optional\[(.*)\]$", r"null or \1", str(field.type))
    return re.sub(r"Union\[(\w+), (.*)\]$", r"\1 or \2", text)


def _table(kind: type) -> list[str]:
    comments = _comments(kind)
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(kind):
        meaning = comments.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{field.name}` | {_type(field)} | `{_default(field)}` | {meaning} |")
    return lines


def page() -> str:
    """Text of the page."""
    lines = [
        _HEAD,
        "## Top level",
        "",
        *_table(Settings),
        "",
        "`splits`:",
        "",
        *_table(Splits),
        "",
        "`synthetic`:",
        "",
        *_table(Synthetic),
        "",
    ]
    shortcuts = ", ".join(f"`{key}` (stage `{stage}`)" for key, stage in SHORTCUTS.items())
    lines += [f"Short for a setting of one stage: {shortcuts}.", "", "## Stages", ""]
    for stage in PIPELINE:
        lines += [f"### stages.{stage.name}", "", f"{stage.summary[0].upper()}{stage.summary[1:]}.", ""]
        for name, backend in stage.backends.items():
            default = " (default)" if name == stage.default else ""
            lines += [f"Backend `{name}`{default}: {inspect.getdoc(backend.params)}", ""]
            if dataclasses.fields(backend.params):
                lines += [*_table(backend.params), ""]
    return "\n".join(lines).rstrip() + "\n"


def schema() -> str:
    """JSON schema of `config.yaml`."""
    top = TypeAdapter(Settings).json_schema()
    definitions = top.setdefault("$defs", {})
    stages = {}
    for stage in PIPELINE:
        options = []
        for name, backend in stage.backends.items():
            params = TypeAdapter(backend.params).json_schema()
            definitions.update(params.pop("$defs", {}))
            params["additionalProperties"] = False
            choice: dict[str, Any] = {
                "type": "object",
                "properties": {"backend": {"const": name}, "params": params},
                "additionalProperties": False,
            }
            if name != stage.default:
                choice["required"] = ["backend"]
            options.append(choice)
        stages[stage.name] = options[0] if len(options) == 1 else {"anyOf": options}
    top["properties"]["stages"] = {"type": "object", "properties": stages, "additionalProperties": False}
    for section in (top, *definitions.values()):
        section["additionalProperties"] = False
    comments = {**_comments(Settings)}
    for key, text in comments.items():
        top["properties"][key].setdefault("description", text)
    top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    top["title"] = "config.yaml of Strata"
    return json.dumps(top, indent=2) + "\n"
