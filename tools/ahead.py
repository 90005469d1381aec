"""Work a few items ahead in a thread of its own, so that two stages of a loop run side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], depth: int = 3) -> Iterator[T]:
    """Yield the items in order; up to `depth` of them are made while the caller works on an earlier one.

    Args:
        items: Iterated in one other thread; its errors reach the caller at the item where they happened.
        depth: Items that may wait, which bounds the memory.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Any]] = deque(pool.submit(next, iterator, _END) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, iterator, _END))
            yield item
