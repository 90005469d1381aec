import numpy as np
import pytest

from tools.scene.blend import adjust, attached, feather
from tools.scene.plate import Donor, build, fill, inpaint, match_exposure, movers, within
from tools.scene.thing import continued

HEIGHT, WIDTH = 60, 80


def background(seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    base = np.stack([80 + x, 90 + y, 120 + 0 * x], -1)
    return (base + rng.integers(-3, 4, base.shape)).clip(0, 255).astype(np.uint8)


def donors(count=7, hidden=None, gain=1.0):
    out = []
    for k in range(count):
        rgb = np.clip(background() * (gain if k else 1.0), 0, 255).astype(np.uint8)
        clear = np.full((HEIGHT, WIDTH), 255, np.uint8)
        rows, columns = slice(10, 50), slice(5 + 10 * k, 25 + 10 * k)
        rgb[rows, columns], clear[rows, columns] = (255, 0, 0), 0
        if hidden is not None:
            clear[hidden] = 0
        out.append(Donor(k, rgb, clear))
    return out


def plate_of(sampled, needed=None):
    everywhere = np.ones((HEIGHT, WIDTH), bool) if needed is None else needed
    return build(0, np.eye(3), (WIDTH, HEIGHT), everywhere, sampled, [np.eye(3)] * len(sampled))


def test_plate_shows_what_is_behind():
    plate = plate_of(donors())
    assert (plate.state == 1).all()
    assert np.abs(plate.rgb.astype(int) - background()).max() <= 1


def test_passers_by_are_outvoted():
    sampled = donors()
    sampled[3].rgb[:9] = (0, 255, 0)  # walks through one frame, not marked
    plate = plate_of(sampled)
    assert np.abs(plate.rgb.astype(int) - background()).max() <= 1


def test_exposure_is_matched():
    plate = plate_of(donors(gain=0.8))
    assert np.abs(plate.rgb.astype(int) - background()).max() <= 4
    dark = (background() * 0.8).astype(np.uint8)
    clear = np.ones((HEIGHT, WIDTH), bool)
    assert np.abs(match_exposure(dark, clear, background(), clear).astype(int) - background()).max() <= 3


def test_what_nobody_sees_is_unknown_then_inpainted():
    never = (slice(20, 30), slice(30, 40))
    plate = plate_of(donors(hidden=never))
    assert not plate.state[never].any() and plate.votes[never].max() == 0
    needed = np.ones((HEIGHT, WIDTH), bool)
    inpaint(plate, needed, 3, None, None)
    assert (plate.state[never] == 2).all() and (plate.state[:9] == 1).all()
    assert np.abs(plate.rgb[never].astype(int) - background()[never]).mean() < 12


def test_an_inpainted_neighbour_is_continued():
    never = (slice(20, 30), slice(30, 40))
    first, second = plate_of(donors(hidden=never)), plate_of(donors(hidden=never))
    needed = np.ones((HEIGHT, WIDTH), bool)
    first.rgb[never], first.state[never] = (1, 2, 3), 2
    inpaint(second, needed, 3, first, np.eye(3))
    assert (second.state[never] == 2).all() and (second.rgb[25, 35] == (1, 2, 3)).all()


def test_large_holes_are_filled_with_texture_and_always_the_same():
    rng = np.random.default_rng(0)
    rgb = rng.integers(60, 200, (160, 160, 3), dtype=np.uint8)
    missing = np.zeros((160, 160), bool)
    missing[60:100, 60:100] = True
    filled = fill(rgb, missing, np.zeros_like(missing), 3)
    np.testing.assert_array_equal(filled[~missing], rgb[~missing])
    assert filled[missing].std() > 0.5 * rgb.std()
    np.testing.assert_array_equal(filled, fill(rgb, missing, np.zeros_like(missing), 3))


def test_things_of_the_subject_are_kept_out_of_plates():
    plate = plate_of(donors())
    picture, clear = background(), np.ones((HEIGHT, WIDTH), bool)
    start = np.zeros((HEIGHT, WIDTH), bool)
    start[20:40, 30:40] = True
    clear[start] = False
    picture[25:35, 40:50] = (250, 250, 250)  # a ball at the subject's hand
    picture[0:6, 70:76] = (250, 250, 250)  # something far away
    moving = movers(picture, clear, plate, start, 20)
    assert moving[26:34, 42:49].all() and not moving[0:6, 70:76].any()


def test_colours_are_shifted_to_meet_the_frame():
    frame, hole = background(), np.zeros((HEIGHT, WIDTH), bool)
    hole[20:40, 30:50] = True
    plate = np.clip(frame.astype(int) + 12, 0, 255).astype(np.uint8)
    frame = frame.copy()
    frame[hole] = 0
    everywhere = np.ones_like(hole)
    shifted = adjust(plate, everywhere, frame, hole, ~hole)
    assert np.abs(shifted[hole].astype(int) - background()[hole]).max() <= 3
    np.testing.assert_array_equal(adjust(plate, everywhere, frame, np.zeros_like(hole), everywhere), plate)


def test_feather_never_lets_the_subject_through():
    hole, subject = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    hole[5:25, 5:25] = True
    subject[6:20, 6:20] = True
    weight = feather(hole, subject, 6.0)
    assert (weight[subject] == 1).all() and weight[24, 24] < 0.5 and weight[0, 0] == 0


def test_attached_things_are_found_and_others_are_not():
    plate = background()
    frame, hole = plate.copy(), np.zeros((HEIGHT, WIDTH), bool)
    hole[20:40, 20:40] = True
    frame[26:32, 40:50] = (250, 20, 20)  # a racket in the hand
    frame[45:, 20:50] = (20, 20, 250)  # a passer-by, larger than what is looked at
    found = attached(plate, np.ones_like(hole), frame, hole, hole, 16.0)
    assert found[27:31, 41:49].all() and not found[50:].any() and not (found & hole).any()


def test_a_thing_is_followed_beyond_what_it_hides():
    rgb = background()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ball = (rows - 30) ** 2 + (columns - 40) ** 2 <= 100
    rgb[ball] = (245, 245, 245)
    hidden = ball & (columns < 40)
    whole = continued(hidden, rgb, np.ones_like(ball), 20.0)
    assert (whole & ball).sum() > 0.95 * ball.sum() and (whole & ~ball).sum() < 0.1 * ball.sum()
    plain = np.full_like(rgb, 128)
    np.testing.assert_array_equal(continued(hidden, plain, np.ones_like(ball), 20.0), hidden)


def test_within():
    mask = np.zeros((9, 9), bool)
    assert not within(mask, 3).any()
    mask[4, 4] = True
    assert within(mask, 2)[4, 6] and not within(mask, 2)[4, 7]


@pytest.mark.parametrize("count", [1, 2])
def test_few_donors_do(count):
    plate = plate_of(donors(count))
    assert plate.votes.max() == count and (plate.state[0] == 1).all()
