"""How fast clips with truth are rendered."""

from __future__ import annotations

import time

from model_zoo.body import free
from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic.recipes import Recipe, Take
from model_zoo.synthetic.truth import TruthOfClip

SIDE_px = 512


def rate(recipe: Recipe, model: SmplModel, with_background: bool) -> float:
    """Frames per second of pictures and truth on one core, kernels already compiled.

    Args:
        recipe: What is rendered.
        model: The body.
        with_background: Also the picture without the subject.
    """
    take = Take(recipe, model)
    known = TruthOfClip(take.shot)
    take.frame(0), take.truth(0), take.background(0)
    start = time.monotonic()
    for t in range(len(take)):
        take.frame(t)
        known.add(take.truth(t))
        if with_background:
            take.background(t)
    return len(take) / (time.monotonic() - start)


def table() -> str:
    """Rates for a still and a moving camera."""
    model = SmplModel.from_arrays(free.derive())
    lines = ["| camera | frame and truth, frames/s | with the clean background, frames/s |", "|---|---|---|"]
    for camera in ("static", "handheld"):
        recipe = Recipe(
            "bench", place="street", camera=camera, action="dance", height=SIDE_px, width=SIDE_px, frames=24
        )
        lines.append(f"| {camera} | {rate(recipe, model, False):.1f} | {rate(recipe, model, True):.1f} |")
    return "\n".join(["512x512, on one core.", "", *lines])
