"""Films the clips, runs the stages on them and gathers what they reached."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic.recipes import Recipe, Take
from tools import progress
from tools.accuracy import corruption, fits
from tools.accuracy.chain import JUDGED, Chain
from tools.accuracy.judge import Verdict, judge
from tools.accuracy.targets import MEASURES
from tools.demo import video
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

logger = logging.getLogger(__name__)


@dataclass
class Results:
    """What the stages reached.

    Attributes:
        verdicts: By clip, in the order of the recipes.
        separations: How well every corruption is told; empty where it was not asked for.
        clean: Quality figures of every clip that came through, by name.
        comparison: Our fit beside EasyMocap's; None where it was not asked for.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    separations: list[corruption.Separation] = field(default_factory=list)
    clean: dict[str, dict[str, float]] = field(default_factory=dict)
    comparison: fits.Comparison | None = None

    def mean(self, key: str) -> float | None:
        """Mean of a measure over the clips it applies to."""
        values = [verdict.measures[key] for verdict in self.verdicts.values() if key in verdict.measures]
        return float(np.mean(values)) if values else None

    def means(self) -> dict[str, float]:
        """Mean of every measure that applies to some clip."""
        return {m.key: value for m in MEASURES if (value := self.mean(m.key)) is not None}


def run(
    recipes: Sequence[Recipe], chain: Chain, model: SmplModel, with_corruption: bool, with_fits: bool = False
) -> Results:
    """Judge all clips.

    Args:
        recipes: The clips.
        chain: The stages.
        model: Body model, the one the stages use.
        with_corruption: Whether to spoil layers as well.
        with_fits: Whether to set our fit beside EasyMocap's as well.
    """
    results = Results()
    bad: dict[str, list[dict[str, float]]] = {name: [] for name in corruption.CORRUPTIONS}
    fitters = fits.Fitters(chain.files) if with_fits else None
    fitted: list[fits.Fit] = []
    first: corruption.Clip | None = None
    before: corruption.Clip | None = None
    with tempfile.TemporaryDirectory(prefix="strata-accuracy-") as folder:
        for recipe in progress.bar(recipes, len(recipes), "accuracy"):
            take = Take(recipe, model)
            path = Path(folder) / f"{recipe.name}.mp4"
            pictures = (take.frame(t) for t in range(len(take)))
            video.write(pictures, recipe.height, recipe.width, recipe.fps, path, recipe.crf)
            outcome = chain.run(path)
            verdict = judge(take, outcome.artifacts, model)
            verdict.rejected = verdict.rejected or outcome.rejected
            results.verdicts[recipe.name] = verdict
            _tell(recipe, outcome.seconds, verdict)
            frames, keypoints = outcome.artifacts.get("frames"), outcome.artifacts.get("keypoints")
            if fitters and recipe.name in fits.CLIPS and isinstance(keypoints, Keypoints):
                assert isinstance(frames, Frames)
                fitted += fitters.fit(take, frames, keypoints)
            if not with_corruption or outcome.rejected or not set(JUDGED) <= set(outcome.artifacts):
                continue
            clip = corruption.collect(outcome.artifacts, model)
            if clip is None:
                continue
            results.clean[recipe.name] = corruption.figures(clip.frames)
            for name, spoil in corruption.CORRUPTIONS.items():
                if before is not None:  # the first clip waits for the last one's person
                    bad[name].append(corruption.figures(spoil(clip, before)))
            first, before = first or clip, clip
        if first is not None and before is not None and before is not first:
            for name, spoil in corruption.CORRUPTIONS.items():
                bad[name].insert(0, corruption.figures(spoil(first, before)))
            results.separations = corruption.separations(list(results.clean.values()), bad)
    results.comparison = fits.compared(fitted)
    return results


def _tell(recipe: Recipe, seconds: dict[str, float], verdict: Verdict) -> None:
    told = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items())
    logger.info("accuracy: %s: seconds: %s%s", recipe.name, told, f"; {verdict.rejected}" if verdict.rejected else "")
