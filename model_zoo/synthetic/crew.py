"""Films a take in several threads: the same frames in the same order, whatever their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from model_zoo.synthetic.everything import Surveyor
from model_zoo.synthetic.recipes import Take
from model_zoo.synthetic.render import FrameTruth
from model_zoo.synthetic.truth import pictures, pictures_of_everything


@dataclass(frozen=True)
class Filmed:
    """One frame.

    Attributes:
        picture: Shape (H, W, 3), uint8, RGB.
        truth: What it shows.
        pictures: The truth of its pixels as it is stored, see `truth.pictures`.
    """

    picture: np.ndarray
    truth: FrameTruth
    pictures: dict[str, np.ndarray]


def film(take: Take, everything: bool, threads: int = 1) -> Iterator[Filmed]:
    """All frames of a take; a few are kept at a time.

    Args:
        take: Not used by others meanwhile.
        everything: Also what is stored of all that is not the subject.
        threads: Frames made at once.
    """
    crews: SimpleQueue[tuple[Take, Surveyor | None]] = SimpleQueue()
    for number in range(threads):
        crews.put((take.twin() if number else take, Surveyor(take.shot) if everything else None))

    def work(t: int) -> Filmed:
        crew = crews.get()
        try:
            return _frame(*crew, t)
        finally:
            crews.put(crew)

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Filmed]] = deque()
        for t in range(len(take)):
            waiting.append(pool.submit(work, t))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _frame(take: Take, survey: Surveyor | None, t: int) -> Filmed:
    truth = take.truth(t)
    if survey is None:
        return Filmed(take.frame(t), truth, pictures(truth))
    picture, background = take.both(t)
    return Filmed(picture, truth, {**pictures(truth), **pictures_of_everything(survey(t), background)})
