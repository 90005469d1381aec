import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tools.catalog import probe, shots

REAL = Path(os.environ.get("STRATA_REAL_CLIPS", Path(__file__).parents[5] / "shared/data/real"))


def scanned(path):
    facts = probe.probe(path)
    return shots.scan(path, (facts.width, facts.height))


def noise(rng, count):
    """A still scene with a little noise."""
    scene = rng.integers(0, 200, (30, 40, 3))
    return [np.clip(scene + rng.integers(0, 9, scene.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def cuts_of(pictures):
    cuts = shots.Cuts()
    for picture in pictures:
        cuts.add(picture)
    return cuts.finish()


def test_a_cut_in_a_video_is_found_exactly(media):
    scan = scanned(media / "cut.mp4")
    assert len(scan.times_us) == 40
    assert scan.cuts == (23,)


def test_no_cut_in_one_shot(media):
    assert scanned(media / "plain.mp4").cuts == ()


@pytest.mark.parametrize("at", [1, 2, 3, 20, 37, 38, 39])
def test_cuts_are_found_anywhere(at):
    rng = np.random.default_rng(at)
    assert cuts_of(noise(rng, at) + noise(rng, 40 - at)) == (at,)


def test_constant_change_is_no_cut():
    """Every frame differs from the one before, as in a fast pan at few frames a second."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (30, 400, 3), dtype=np.uint8)
    assert cuts_of([wide[:, 8 * t : 8 * t + 40] for t in range(40)]) == ()


def test_still_pictures_and_nothing_at_all():
    assert cuts_of([np.full((4, 4, 3), 9, np.uint8)] * 8) == ()
    assert cuts_of([]) == ()


@pytest.mark.real
@pytest.mark.parametrize(("name", "frames"), [("juggle.mp4", 247), ("tennis.mp4", 312), ("street.avi", 205)])
def test_real_shots_are_whole(name, frames):
    if not (REAL / name).exists():
        pytest.skip(f"the real clips are not at {REAL}; set STRATA_REAL_CLIPS")
    scan = scanned(REAL / name)
    assert len(scan.times_us) == frames
    assert scan.cuts == ()


def test_torn_video_gives_the_frames_that_decode(media):
    scan = scanned(media / "torn.mkv")
    assert 5 < len(scan.times_us) < 50
    assert scan.complaints


def test_times_are_the_files_own(media):
    scan = scanned(media / "slow.mp4")
    assert scan.times_us.tolist() == [500_000 * i for i in range(8)]


@pytest.mark.parametrize(
    ("name", "rate", "variable"),
    [
        ("plain.mp4", Fraction(25), False),
        ("slow.mp4", Fraction(2), False),
        ("ntsc.mkv", Fraction(30000, 1001), False),  # Matroska rounds times to milliseconds
        ("variable.mp4", None, True),
    ],
)
def test_rate(media, name, rate, variable):
    found, varies = shots.rate(scanned(media / name).times_us, 25.0)
    assert varies == variable
    assert rate is None or found == rate


def test_rate_of_disordered_times_is_the_headers():
    assert shots.rate(np.array([0, 40_000, 40_000]), 12.5) == (Fraction(25, 2), True)
    assert shots.rate(np.array([0]), 0.0) == (Fraction(25), False)
