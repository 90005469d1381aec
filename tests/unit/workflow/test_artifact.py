"""An artifact that breaks its contract cannot be built."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from workflow.artifact import Artifact, array, figures, raster
from workflow.errors import ContractError
from workflow.raster import Raster


@dataclass(frozen=True)
class Thing(Artifact):
    """An artifact for these tests."""

    name = "thing"

    xy: np.ndarray = array("time joint=3 xy=2", "float32", unit="px")
    score: np.ndarray = array("time joint=3", "float32", bounds=(0, 1))
    mask: Raster = raster("time height width", "bool")
    fps: float
    quality: dict = figures()


def mask(length=4, height=5, width=7):
    spool = Thing.spool("mask")
    for index in range(length):
        frame = np.zeros((height, width), bool)
        frame[index % height] = True
        spool.append(frame)
    return spool


def thing(length=4):
    return Thing(np.zeros((length, 3, 2), "float32"), np.zeros((length, 3), "float32"), mask(length), 25.0)


def test_a_whole_one_is_built():
    assert thing().mask.shape == (4, 5, 7)


def test_every_fault_is_reported_at_once():
    with pytest.raises(ContractError) as caught:
        Thing(np.zeros((4, 2, 2), "float64"), np.full((3, 3), 2, "float32"), np.zeros((4, 5, 7), bool), 25.0)
    message = str(caught.value)
    for part in (
        "xy: dtype is float64",
        "axis 'joint' has length 2, expected 3",
        "score: axis 'time' has length 3, but 4",
        "score: values span 2.0",
        "mask: is ndarray, expected Raster",
    ):
        assert part in message


def test_nan_is_never_legal():
    good = thing()
    bad = good.xy.copy()
    bad[1, 2, 0] = np.nan
    with pytest.raises(ContractError, match=r"not finite at \(1, 2, 0\)"):
        replace(good, xy=bad)


def test_a_raster_of_another_length_is_refused():
    with pytest.raises(ContractError, match="mask: axis 'time' has length 3, but 4"):
        replace(thing(), mask=mask(3))


def test_figures_must_be_finite():
    with pytest.raises(ContractError, match="quality.error"):
        replace(thing(), quality={"error": float("nan")})


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((5, 7), "uint8"), "dtype is uint8"),
        (np.zeros((5, 8), bool), "shape is"),
        (np.zeros((5, 7, 1), bool), "shape is"),
    ],
)
def test_a_spool_refuses_wrong_frames(frame, message):
    spool = mask(1)
    with pytest.raises(ContractError, match=message):
        spool.append(frame)


def test_a_spool_refuses_values_out_of_bounds():
    spool = replace_bounds()
    with pytest.raises(ContractError, match="values span"):
        spool.append(np.full((2, 2), 20, "uint8"))


def replace_bounds():
    from workflow.stages.parsing import Parsing

    return Parsing.spool("labels")
