import numpy as np
import pytest

from tools.layers.dressed import dressed

BODY = np.zeros((200, 120), bool)
BODY[20:180, 40:80] = True
ALL = np.ones_like(BODY)
COVERED = np.zeros_like(BODY)
COVERED[90:120] = True


@pytest.mark.parametrize("stands_off_px", [0, 3, 5])
def test_the_outline_goes_on_where_it_is_covered(stands_off_px):
    human = np.zeros_like(BODY)
    human[20:180, 40 - stands_off_px : 80 + stands_off_px] = True
    found = dressed(BODY, human & ~COVERED, COVERED, ALL)
    assert abs(int(found[105].sum()) - (40 + 2 * stands_off_px)) <= 2


def test_each_side_has_its_own_width():
    human = np.zeros_like(BODY)
    human[20:180, 40:85] = True
    found = np.flatnonzero(dressed(BODY, human & ~COVERED, COVERED, ALL)[105])
    assert abs(found[0] - 40) <= 1 and abs(found[-1] - 84) <= 2


def test_without_an_outline_it_is_the_body():
    found = dressed(BODY, np.zeros_like(BODY), ALL, ALL)
    assert (found != BODY).mean() < 0.01
