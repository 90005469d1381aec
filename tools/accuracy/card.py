"""The accuracy card: one self-contained page, and the same numbers as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_zoo.body.smpl import SmplModel
from model_zoo.metrics.quality import FIGURES
from model_zoo.synthetic.recipes import Recipe
from tools.accuracy import fits, panels, scenarios, study
from tools.accuracy.chain import Chain, described, steps
from tools.accuracy.study import Results
from tools.accuracy.targets import MEASURES, STAGES, Measure
from tools.page.embed import webp
from tools.page.render import render
from workflow.stages.accuracy import CardParams
from workflow.store import replacing

_TEMPLATE = Path(__file__).with_name("card.html.j2")
_AUC_TARGET = 0.95
_DIGITS = 6


def run(params: CardParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Judge the configured stages and write page and figures.

    Args:
        params: Settings.
        inputs: `body_model`.
        outputs: `card`: the page; `figures`: the JSON.
    """
    file = inputs["body_model"]
    assert isinstance(file, Path)
    recipes = scenarios.read(
        only=[name.strip() for name in params.only.split(",") if name.strip()], frames=params.frames
    )
    chosen = steps(params.chain)
    model = SmplModel.load(file)
    results = study.run(recipes, Chain(chosen, {"body_model": file}), model, params.corruption, params.fits)
    backends = described(chosen)
    with replacing(outputs["figures"]) as partial:
        partial.write_text(json.dumps(_figures(recipes, backends, results), indent=1) + "\n", encoding="utf-8")
    with replacing(outputs["card"]) as partial:
        partial.write_text(page(recipes, backends, results), encoding="utf-8")


def _figures(recipes: Sequence[Recipe], backends: Mapping[str, Any], results: Results) -> dict[str, Any]:
    means = results.means()
    return {
        "backends": backends,
        "mean": {key: round(value, _DIGITS) for key, value in means.items()},
        "targets": {
            m.key: {"target": m.target, "reached": round(means[m.key], _DIGITS), "met": m.met(means[m.key])}
            for m in MEASURES
            if m.target is not None and m.key in means
        },
        "clips": {
            recipe.name: {
                "recipe": dataclasses.asdict(recipe),
                "rejected": results.verdicts[recipe.name].rejected,
                "measures": {k: round(v, _DIGITS) for k, v in results.verdicts[recipe.name].measures.items()},
                "worst_frame": {stage: t for stage, (t, _) in results.verdicts[recipe.name].worst.items()},
                "quality": {k: round(v, _DIGITS) for k, v in results.clean.get(recipe.name, {}).items()},
            }
            for recipe in recipes
        },
        "corruption": [dataclasses.asdict(each) for each in results.separations],
        "fits": dataclasses.asdict(results.comparison) | {"met": results.comparison.met}
        if results.comparison
        else None,
    }


def page(recipes: Sequence[Recipe], backends: Mapping[str, Any], results: Results) -> str:
    """The page."""
    means = results.means()
    known = {recipe.name: recipe for recipe in recipes}
    return render(
        _TEMPLATE,
        backends=backends,
        clips=len(recipes),
        frames=sum(recipe.frames for recipe in recipes),
        rejected=[(name, v.rejected) for name, v in results.verdicts.items() if v.rejected],
        missed=[m for m in MEASURES if m.key in means and not m.met(means[m.key])],
        goals=[_row(m, means[m.key], results) for m in MEASURES if m.target is not None and m.key in means],
        stages=[_stage(stage, means, results) for stage in STAGES],
        separations=results.separations,
        comparison=results.comparison,
        faster=fits.FASTER,
        meanings=FIGURES,
        auc_target=_AUC_TARGET,
        captions=panels.CAPTIONS,
        scenes=[
            {
                "name": name,
                "told": _told(known[name]),
                "rejected": verdict.rejected,
                "pictures": [(stage, t, webp(picture, 70)) for stage, (t, picture) in verdict.worst.items()],
            }
            for name, verdict in results.verdicts.items()
        ],
    )


def _row(measure: Measure, mean: float, results: Results) -> dict[str, Any]:
    """One measure with a target: what was reached, and the clips that pull it down."""
    values = {name: v.measures[measure.key] for name, v in results.verdicts.items() if measure.key in v.measures}
    ordered = sorted(values, key=lambda name: values[name], reverse=not measure.more_is_better)
    return {
        "measure": measure,
        "target": f"{'at least' if measure.more_is_better else 'at most'} {measure.shown(measure.target)}",
        "reached": measure.shown(mean),
        "met": measure.met(mean),
        "clips": len(values),
        "worst": [(name, measure.shown(values[name])) for name in ordered[:3]],
        "why": "" if measure.met(mean) else _why(measure, results, [values[name] for name in ordered]),
    }


def _why(measure: Measure, results: Results, worst_first: Sequence[float]) -> str:
    """What makes a measure miss its target, as far as the numbers say it."""
    if measure.key.startswith("scene.psnr"):
        share, seen, invented = (
            results.mean(f"scene.{name}") for name in ("share_inpainted", "psnr_other_frame", "psnr_inpainted")
        )
        if share and seen is not None and invented is not None:
            return (
                f"{share:.0%} of the pixels behind the human are shown by no frame of their clip, above all where the "
                f"subject stays on the spot, and had to be invented: {invented:.1f} dB there, {seen:.1f} dB where "
                "another frame shows them (means over all clips)."
            )
    for left_out in range(1, len(worst_first)):
        rest = sum(worst_first[left_out:]) / (len(worst_first) - left_out)
        if measure.met(rest):
            return f"Without the {left_out} weakest of {len(worst_first)} clips it would be {measure.shown(rest)}."
    return "No clip reaches it." if worst_first else ""


def _stage(stage: str, means: Mapping[str, float], results: Results) -> dict[str, Any]:
    measures = [m for m in MEASURES if m.stage == stage and m.key in means]
    return {
        "name": stage,
        "measures": measures,
        "mean": [m.shown(means[m.key]) for m in measures],
        "rows": [
            (
                name,
                [
                    (m.shown(v.measures.get(m.key)), m.key in v.measures and not m.met(v.measures[m.key]))
                    for m in measures
                ],
            )
            for name, v in results.verdicts.items()
        ],
    }


def _told(recipe: Recipe) -> str:
    """A recipe in words: what differs from the plainest clip."""
    plain = Recipe("")
    said = [recipe.place, recipe.camera, recipe.action]
    said += [f"{name} {getattr(recipe, name)}" for name in ("occluder", "company") if getattr(recipe, name) != "none"]
    said += [
        f"{name} {getattr(recipe, name):g}"
        for name in ("focal", "exposure", "grain", "shutter", "crf", "fps")
        if getattr(recipe, name) != getattr(plain, name)
    ]
    return ", ".join([*said, f"{recipe.frames} frames of {recipe.width}x{recipe.height}"])
