"""Progress of long work: a bar on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 10.0
_SHARE_BEFORE_GUESSING = 0.1  # the first items include compilation and caches


def bar(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield the items and show how far the work is and how long it will take.

    Args:
        items: What is worked through.
        total: How many there are.
        label: What the user sees.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, dynamic_ncols=True)
        return
    start = told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - told >= _SECONDS_BETWEEN_LINES and done < total:
            left = (now - start) / done * (total - done)
            guess = f", about {left:.0f} s left" if done >= _SHARE_BEFORE_GUESSING * total else ""
            logger.info("%s: %d of %d%s", label, done, total, guess)
            told = now
