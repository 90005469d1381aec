"""Draws clips at random: as many as asked for, with so large a share of each difficulty; the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_zoo.synthetic.recipes import ACTIONS, COMPANY, Recipe

_MOVING = ("panning", "handheld", "dolly")
_OCCLUDERS = ("pole", "table", "ball")
_SPREAD_DEG = 70.0  # directions from which several cameras look, about the front
_BEND = (-0.12, 0.08), (0.0, 0.02)  # shift of the picture's corners by k1 and by k2, share of their radius
_MANY = 10_000  # people to choose from


def cast(
    clips: int,
    seconds: float,
    fps: float,
    height: int,
    width: int,
    cameras: int,
    seed: int,
    shares: dict[str, float],
    recordings: Sequence[tuple[str, float]] = (),
    photos: Sequence[str] = (),
) -> list[Recipe]:
    """Recipes of a synthetic source.

    A clip depends on the seed and its own number only, so more clips leave the first ones as they are.

    Args:
        clips: Motions.
        seconds: Length of each.
        fps: Frames per second.
        height: px, even.
        width: px, even.
        cameras: Views of every motion, from different directions.
        seed: Other seeds, other clips.
        shares: Of all clips, 0 to 1: `street` (else a room), `moving` cameras, `occluded`, `company` (other people),
            `hard` (dim, noisy, blurred or strongly compressed), `focal` (wide or tele), `recorded` (motions from
            `recordings`, where there are any), `photographed` (before one of `photos`, likewise), `cut` (another
            camera takes over in the middle), `distorted` (a lens that bends).
        recordings: Name and length in s of recorded motions.
        photos: Names of photographs.

    Returns:
        `clips` times `cameras` recipes, views of one motion one after the other.
    """
    found = []
    for number in range(clips):
        rng = np.random.default_rng([seed, number])
        draws = {name: float(rng.random()) for name in ("street", "moving", "occluded", "company", "hard", "focal")}
        chosen = {name: draw < shares.get(name, 0.0) for name, draw in draws.items()}
        hard = int(rng.integers(4))
        recipe = Recipe(
            name=f"clip-{number:05d}",
            place="street" if chosen["street"] else "room",
            action=ACTIONS[rng.integers(len(ACTIONS))],
            occluder=_pick(rng, _OCCLUDERS, chosen["occluded"], "none"),
            company=_pick(rng, COMPANY[1:], chosen["company"], "none"),
            person=int(rng.integers(_MANY)),
            height=height,
            width=width,
            frames=max(2, round(seconds * fps)),
            fps=fps,
            focal=round(float(rng.choice([0.8, 2.2]) if chosen["focal"] else rng.uniform(1.0, 1.5)), 2),
            fill=round(float(rng.uniform(0.6, 0.8)), 2),
            exposure=round(float(rng.uniform(0.15, 0.4)), 2) if chosen["hard"] and hard == 0 else 1.0,
            grain=round(float(rng.uniform(10, 20)), 1) if chosen["hard"] and hard < 2 else 4.0,
            shutter=3 if chosen["hard"] and hard == 2 else 1,
            crf=int(rng.integers(30, 39)) if chosen["hard"] and hard == 3 else 16,
            seed=int(rng.integers(_MANY)),
        )
        which, at, wanted = int(rng.integers(2**31)), float(rng.random()), float(rng.random())
        if recordings and wanted < shares.get("recorded", 1.0):
            name, length = recordings[which % len(recordings)]
            recipe = recipe.at(recording=name, start_s=round(at * max(length - seconds, 0.0), 3))
        recipe = _extended(recipe, np.random.default_rng([seed, number, 1]), shares, photos)
        for view in range(cameras):
            moving = _pick(rng, _MOVING, chosen["moving"], "static")
            across = 0.0 if cameras == 1 else _SPREAD_DEG * (2.0 * view / (cameras - 1) - 1.0)
            found.append(recipe.at(name=f"{recipe.name}-view-{view}", camera=moving, azimuth_deg=round(across, 2)))
    return found


def _pick(rng: np.random.Generator, values: tuple[str, ...], wanted: bool, otherwise: str) -> str:
    """One of the values where wanted; the generator moves on either way."""
    value = values[rng.integers(len(values))]
    return value if wanted else otherwise


def _extended(recipe: Recipe, rng: np.random.Generator, shares: dict[str, float], photos: Sequence[str]) -> Recipe:
    """With what draws of its own decide, so that it leaves the other draws as they are."""
    draws = {name: float(rng.random()) for name in ("photographed", "cut", "distorted")}
    chosen = {name: draw < shares.get(name, 0.0) for name, draw in draws.items()}
    which, first, second = int(rng.integers(2**31)), float(rng.uniform(*_BEND[0])), float(rng.uniform(*_BEND[1]))
    if photos and chosen["photographed"]:
        recipe = recipe.at(place="photo", photo=photos[which % len(photos)])
    if chosen["cut"]:
        recipe = recipe.at(cut=recipe.frames // 2)
    if chosen["distorted"]:
        corner = (recipe.height**2 + recipe.width**2) / (2 * recipe.focal * min(recipe.height, recipe.width)) ** 2
        recipe = recipe.at(k1=round(first / corner, 3), k2=round(second / corner**2, 3))
    return recipe
