import numpy as np

from tools.parsing.standing import standing

HEIGHT, WIDTH, FRAMES = 90, 120, 16


def walk(post=True, sway=0.0):
    """A person walks behind a post; the network takes the post for a part of them."""
    rng = np.random.default_rng(0)
    ground = rng.uniform(20, 60, (HEIGHT, WIDTH, 3)).astype(np.float32)
    colours, person = [], []
    for t in range(FRAMES):
        picture, mask = np.roll(ground, int(sway * t), axis=1).copy(), np.zeros((HEIGHT, WIDTH), np.float32)
        x = 5 + 6 * t
        mask[20:80, x : x + 24] = 1.0
        picture[mask > 0] = (30, 40, -30)
        if post:
            picture[:, 58:63] = (10, -5, 5)
        colours.append(picture)
        person.append(mask)
    return np.stack(colours), np.stack(person)


def test_a_post_before_the_subject_is_found():
    found = standing(*walk())
    assert found[25:75, 58:63].mean() > 0.95
    assert found[:, :55].sum() + found[:, 66:].sum() == 0


def test_nothing_is_found_without_a_post_or_with_a_moving_camera():
    assert not standing(*walk(post=False)).any()
    assert not standing(*walk(post=False, sway=5)).any()


def test_a_subject_that_never_moves_hides_everything():
    colours, person = walk()
    still = np.repeat(person[:1], FRAMES, axis=0)
    assert not standing(np.repeat(colours[:1], FRAMES, axis=0), still).any()


def test_too_few_frames():
    colours, person = walk()
    assert not standing(colours[:3], person[:3]).any()
