"""Hands and faces found in a second thread, frame after frame, while the first goes on with the next frame's body."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from tools.keypoints.graphs import Networks, Picture
from tools.keypoints.parts import PartFinder, Parts
from tools.keypoints.people import Person

IN_FLIGHT = 2  # frames kept for the second thread


class PartQueue:
    """Takes persons in order and gives each back with the parts. For a `with` block, which ends when all are back.

    Args:
        networks: mediapipe's networks; hands and face are used by this thread only.
        done: Called with frame index, person and parts, in the thread that calls `add`, in order.
    """

    def __init__(self, networks: Networks, done: Callable[[int, Person, Parts], None]) -> None:
        self._finder = PartFinder(networks)
        self._done = done
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[tuple[int, Person, Future[Parts]]] = deque()

    def __enter__(self) -> PartQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._drain(0)
        finally:
            self._pool.shutdown(cancel_futures=True)

    def add(self, index: int, picture: Picture, person: Person) -> None:
        """Queue a person seen in a frame."""
        self._waiting.append((index, person, self._pool.submit(self._finder.step, picture, person.pose)))
        self._drain(IN_FLIGHT)

    def forget(self) -> None:
        """The next frame does not continue the last one."""
        self._pool.submit(self._finder.reset)

    def _drain(self, most: int) -> None:
        while len(self._waiting) > most:
            index, person, future = self._waiting.popleft()
            self._done(index, person, future.result())
