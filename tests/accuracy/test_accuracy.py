"""What the default stages reach on rendered clips, against `thresholds.yaml`; thresholds only tighten."""

import json
import os
from pathlib import Path

import pytest
import yaml

from tests import bodies

KEPT = yaml.safe_load(Path(__file__).with_name("thresholds.yaml").read_text())
CARD = os.environ.get("STRATA_ACCURACY")  # reports/accuracy.json of the full set


@pytest.fixture(scope="module")
def reached():
    """Means over the few clips of the quick check."""
    for name in ("torch", "mediapipe"):
        pytest.importorskip(name, reason=f"{name} is not in this environment")
    import torch

    from tools.accuracy import scenarios, study
    from tools.accuracy.chain import Chain, steps

    torch.set_num_threads(1)
    quick = KEPT["quick"]
    recipes = scenarios.read(only=quick["clips"], frames=quick["frames"])
    chain = Chain(steps(""), {"body_model": bodies.free_body_file()})
    results = study.run(recipes, chain, bodies.free_body(), with_corruption=False)
    assert not [verdict.rejected for verdict in results.verdicts.values() if verdict.rejected]
    return results.means()


def faults(means, bounds):
    from tools.accuracy.targets import BY_KEY

    found = []
    for key, bound in bounds.items():
        measure = BY_KEY[key]
        if key not in means:
            found.append(f"{key}: was not measured, expected {bound}")
        elif measure.worse(means[key], bound):
            found.append(
                f"{key}: is {means[key]:.4g}, expected {'at least' if measure.more_is_better else 'at most'} {bound}"
            )
    return found


def test_the_default_stages_are_as_good_as_they_were(reached):
    assert not faults(reached, KEPT["quick"]["bounds"])


@pytest.mark.skipif(not CARD, reason="STRATA_ACCURACY names no reports/accuracy.json (made by `snakemake accuracy`)")
def test_the_full_set_is_as_good_as_it_was():
    card = json.loads(Path(CARD).read_text())
    assert not faults(card["mean"], KEPT["full"]["bounds"])
    weak = {each["name"]: each["auc"] for each in card["corruption"] if each["auc"] < KEPT["full"]["corruption_auc"]}
    assert card["corruption"] and not weak
    fits = card["fits"]
    assert fits["ours"] <= fits["theirs"] and fits["faster"] >= KEPT["full"]["fits_faster"]


def test_a_worse_value_is_noticed():
    assert faults(
        {"body.mpjpe": 81.0, "parsing.iou": 0.9}, {"body.mpjpe": 80.0, "parsing.iou": 0.95, "scene.ssim": 0.9}
    ) == [
        "body.mpjpe: is 81, expected at most 80.0",
        "parsing.iou: is 0.9, expected at least 0.95",
        "scene.ssim: was not measured, expected 0.9",
    ]
