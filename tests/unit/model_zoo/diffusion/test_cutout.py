import numpy as np
import pytest

from model_zoo.diffusion.cutout import person

FIGURE = np.zeros((40, 30), bool)
FIGURE[6:40, 10:20] = True  # touches the lower border


def _picture(background):
    rng = np.random.default_rng(0)
    picture = np.where(FIGURE[..., None], np.uint8([200, 60, 40]), np.asarray(background, np.uint8))
    picture[12:20, 13:17] = background if np.ndim(background) == 1 else 250  # a shirt like the background
    return np.clip(picture + rng.integers(-4, 5, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [[250, 250, 250], [20, 160, 40]])
def test_before_a_plain_background(colour):
    assert (person(_picture(colour)) == FIGURE).all()


def test_small_specks_are_not_the_person():
    picture = _picture([250, 250, 250])
    picture[3, 3] = 0
    assert (person(picture) == FIGURE).all()


def test_transparency_and_mask():
    busy = np.random.default_rng(1).integers(0, 255, (40, 30, 3), np.uint8)
    alpha = FIGURE.astype(np.uint8) * 255
    assert (person(np.dstack([busy, alpha])) == FIGURE).all()
    assert (person(busy, alpha) == FIGURE).all()


def test_what_cannot_be_told_apart_is_refused():
    busy = np.random.default_rng(1).integers(0, 255, (40, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="not of one colour"):
        person(busy)
    with pytest.raises(ValueError, match="not of one colour"):
        person(np.dstack([busy, np.full((40, 30), 255, np.uint8)]))
    with pytest.raises(ValueError, match="covers 0.0%"):
        person(np.full((40, 30, 3), 255, np.uint8))
    with pytest.raises(ValueError, match="the mask is 5 x 4 px, the picture 30 x 40 px"):
        person(busy, np.zeros((4, 5), np.uint8))
