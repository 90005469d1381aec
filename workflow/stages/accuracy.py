"""Accuracy: how good the configured stages are, on rendered clips whose truth is known."""

from __future__ import annotations

import json
from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage
from workflow.stages.body_model import BODY_MODEL

CARD = File("card", "reports/accuracy.html")
FIGURES = File("figures", "reports/accuracy.json")


@dataclass(frozen=True)
class CardParams(Params):
    """Measures of every stage against the truth, with pictures of the worst frames."""

    only: str = ""  # names of the clips wanted, with commas between; empty takes all of tools/accuracy/scenarios.yaml
    frames: int = 0  # of every clip; 0 takes what the file says
    corruption: bool = True  # also spoil one layer at a time, to see whether the quality figures notice
    fits: bool = True  # also fit two clips by EasyMocap's objective, to compare joint error and time
    chain: str = ""  # backends and settings to judge, as JSON by stage; empty takes those of this configuration

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        found = []
        if self.frames and self.frames < 8:
            found.append(f"frames: is {self.frames}, expected 0 or at least 8")
        try:
            fine = not self.chain or isinstance(json.loads(self.chain), dict)
        except ValueError:
            fine = False
        if not fine:
            found.append("chain: is no JSON object, expected backends and settings by stage, or nothing")
        return found


STAGE = Stage(
    "accuracy",
    "run the configured stages on rendered clips and compare with the truth (target `accuracy`)",
    inputs=(BODY_MODEL,),
    outputs=(CARD, FIGURES),
    backends={"card": Backend("accuracy", CardParams, Resources(threads=2, mem_mb=4_000), summary="rendered clips")},
    default="card",
)
