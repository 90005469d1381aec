"""How fast clips with truth are rendered."""

from __future__ import annotations

import time

from model_zoo.body import free
from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic.crew import film
from model_zoo.synthetic.recipes import Recipe, Take

SIDE_px = 512


def rate(recipe: Recipe, model: SmplModel, everything: bool, threads: int) -> float:
    """Frames per second of pictures and truth, kernels already compiled.

    Args:
        recipe: What is rendered.
        model: The body.
        everything: Also depth, normals, kind and flow of all there is, and the picture without the subject.
        threads: Frames made at once.
    """
    for _ in film(Take(recipe.at(frames=2), model), everything, threads):
        pass
    take = Take(recipe, model)
    start = time.monotonic()
    for _ in film(take, everything, threads):
        pass
    return len(take) / (time.monotonic() - start)


def table() -> str:
    """Rates for a still and a moving camera, on one core and on two."""
    model = SmplModel.from_arrays(free.derive())
    lines = [
        "| camera | cores | frame and the subject's truth, frames/s | with the truth of everything, frames/s |",
        "|---|---|---|---|",
    ]
    for camera in ("static", "handheld"):
        recipe = Recipe(
            "bench", place="street", camera=camera, action="dance", height=SIDE_px, width=SIDE_px, frames=48
        )
        for threads in (1, 2):
            subject, everything = (rate(recipe, model, all_of_it, threads) for all_of_it in (False, True))
            lines.append(f"| {camera} | {threads} | {subject:.1f} | {everything:.1f} |")
    return "\n".join(["512x512, as arrays; neither video nor truth file is written.", "", *lines])
