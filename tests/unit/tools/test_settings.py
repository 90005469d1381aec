import dataclasses
import json

import pytest

from tools.runner import settings_of
from workflow.stages import STAGES

BACKENDS = [(stage.name, name) for stage in STAGES.values() for name in stage.backends]


@pytest.mark.parametrize(("stage", "name"), BACKENDS)
def test_default_settings_come_back_from_json(stage, name):
    backend = STAGES[stage].backends[name]
    default = backend.params()
    text = json.dumps(dataclasses.asdict(default))
    assert settings_of(backend, json.loads(text)) == default


def test_shares_and_limits_come_through():
    backend = STAGES["train"].backends["diffusion"]
    given = {"shares": {"real": 0.7, "synthetic": 0.3}, "limits": {"body.valid_share": [0.9, 1]}}
    assert settings_of(backend, given).shares == given["shares"]
