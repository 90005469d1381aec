"""Settings of all backends: what cannot work is a fault before anything runs, and every key is explained."""

import dataclasses
import json
import math
import typing

import pytest

from tools.docs.configuration import _comments, schema
from tools.recipes import RECIPES
from workflow.config import Settings, Splits, Synthetic
from workflow.stage import Params, outside
from workflow.stages import PIPELINE, train

BACKENDS = [(f"{stage.name}/{name}", backend.params) for stage in PIPELINE for name, backend in stage.backends.items()]
NUMBERS = [
    pytest.param(kind, key, type_of, id=f"{name}.{key}")
    for name, kind in BACKENDS
    for key, type_of in typing.get_type_hints(kind).items()
    if typing.get_origin(type_of) is not dict and {int, float} & {type_of, *typing.get_args(type_of)}
]


@dataclasses.dataclass(frozen=True)
class Sizes(Params):
    """Settings of these tests."""

    side: typing.Optional[int] = None
    share: float = 0.5

    def faults(self):
        return outside(self, side=(2, None), share=(0, 1))


def test_limits_are_allowed_and_what_lies_beyond_is_told():
    assert Sizes().faults() == Sizes(2, 0.0).faults() == Sizes(10**9, 1.0).faults() == []
    assert Sizes(1, 1.5).faults() == ["side: is 1, expected at least 2", "share: is 1.5, expected 0 to 1"]
    assert Sizes(share=math.nan).faults() == ["share: is nan, expected 0 to 1"]
    assert Sizes(side=math.inf).faults() == ["side: is inf, expected at least 2"]


@pytest.mark.parametrize(("kind", "key", "type_of"), NUMBERS)
def test_no_number_is_taken_unseen(kind, key, type_of):
    wrong = [-7] if int in (type_of, *typing.get_args(type_of)) else [-7.0, math.nan, math.inf]
    for value in wrong:
        assert any(fault.startswith(f"{key}: is {value}") for fault in kind(**{key: value}).faults())


@pytest.mark.parametrize(("name", "kind"), BACKENDS)
def test_defaults_work(name, kind):
    assert kind().faults() == []


@pytest.mark.parametrize("kind", [Settings, Splits, Synthetic, *dict.fromkeys(kind for _, kind in BACKENDS)])
def test_every_key_is_explained(kind):
    plain = {"train", "val", "test"}  # shares, as the class says
    assert [key for key, text in _comments(kind).items() if not text and key not in plain] == []


def test_recipes_are_those_of_the_trainer():
    assert list(train.RECIPES) == list(RECIPES)
    assert train.TrainParams(recipe="huge").faults() == ["recipe: is 'huge', expected one of tiny, small, paper"]


def test_the_schema_takes_no_unknown_key_at_any_level():
    made = json.loads(schema())
    sections = [made, *made["$defs"].values(), made["properties"]["stages"]]
    assert {section["additionalProperties"] for section in sections} == {False}
    assert set(made["$defs"]) == {"Splits", "Synthetic"}
