"""Takes the clips' thumbnails out of the shard pages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from workflow.errors import ContractError

_OPENING = '<script type="application/json" id="posters">'  # stands in the head of every shard page
_CLOSING = "</script>"
_BLOCK = 1 << 16


def posters(pages: Iterable[Path], most: int) -> dict[str, str]:
    """Data URIs of thumbnails by clip id.

    Args:
        pages: Shard pages.
        most: How many at most; no page is opened once they are found.
    """
    found: dict[str, str] = {}
    for page in pages:
        if len(found) >= most:
            break
        found.update(_of_page(page))
    return dict(list(found.items())[:most])


def _of_page(page: Path) -> dict[str, str]:
    """Read a page as far as its thumbnails.

    Raises:
        ContractError: It has none.
    """
    text = ""
    with page.open(encoding="utf-8") as file:
        while _CLOSING not in text and (block := file.read(_BLOCK)):
            text += block
    _, opening, rest = text.partition(_OPENING)
    data, closing, _ = rest.partition(_CLOSING)
    if not (opening and closing):
        raise ContractError(f"{page}: is not a page of the report; rerun the report stage")
    found: dict[str, str] = json.loads(data)
    return found
