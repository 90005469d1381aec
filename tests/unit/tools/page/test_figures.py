"""What quality figures mean."""

from tools.page.figures import FIGURES, figure, in_order, shown, spanned
from workflow.stages import STAGES


def test_values_are_short_and_have_units():
    assert shown(0.1234, "%") == "12.3 %"
    assert shown(72896.0, "voxels") == "72,896 voxels"
    assert shown(0.0029012, "px") == "0.0029 px"
    assert shown(3.0, "") == "3"
    assert shown(367.0587, "px") == "367.1 px"
    assert spanned(0.25, 0.5, "%") == "25.0 to 50.0 %"
    assert spanned(2.0, 2.0, "m") == "2 m"


def test_a_hint_says_when_a_value_is_odd():
    what = figure("keypoints.valid_share")
    assert what.is_odd(0.5) and not what.is_odd(0.95)
    assert what.hint == "below 90.0 %"
    assert figure("crop.zoom").is_odd(3.0)


def test_a_backends_own_figure_is_shown_as_it_is():
    assert figure("depth.sparkle").unit == "" and not figure("depth.sparkle").hint
    assert figure("depth.sparkle_share").unit == "%"


def test_every_figure_belongs_to_a_stage_and_is_explained():
    for name, what in FIGURES.items():
        assert name.partition(".")[0] in STAGES, name
        assert what.about.endswith("."), name


def test_figures_come_in_the_order_of_the_pipeline():
    names = ["scene.b", "own.c", "frames.a", "shards.z", "body.a", "scene.a"]
    assert in_order(names) == ["shards.z", "frames.a", "body.a", "scene.a", "scene.b", "own.c"]
