"""Fills the templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_SHARED = Path(__file__).parent


def render(template: Path, **values: Any) -> str:
    """Fill a template; everything is escaped unless it is `Markup`.

    Args:
        template: The file; it may include what lies beside it and in `tools/page`.
        values: Names it uses.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values) + "\n"


def embedded(data: Any) -> Markup:
    """JSON that can stand inside a `<script>` of type application/json."""
    return Markup(json.dumps(data, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c"))
