"""Colours of the subject: the compiled search against a plain one."""

import numpy as np

from tools.parsing.appearance import nearest_squared


def plain(colours, expected, known, offsets, tones):
    height, width = known.shape
    best = np.full((height, width), np.inf, np.float32)
    reach = np.abs(offsets).max()
    edge = ((reach, reach), (reach, reach))
    padded, inside = np.pad(expected, (*edge, (0, 0))), np.pad(known, edge)
    for dy, dx in offsets:
        rows, columns = slice(reach + dy, reach + dy + height), slice(reach + dx, reach + dx + width)
        apart = ((colours - padded[rows, columns]) ** 2).sum(-1)
        best = np.minimum(best, np.where(inside[rows, columns], apart, np.inf))
    for tone in tones:
        best = np.minimum(best, ((colours - tone) ** 2).sum(-1))
    return best


def test_nearest_colours_equal_the_plain_search():
    rng = np.random.default_rng(0)
    colours, expected = rng.normal(0, 40, (2, 24, 31, 3)).astype(np.float32)
    known = rng.random((24, 31)) > 0.7
    offsets = np.array([(dy, dx) for dy in (-4, 0, 4) for dx in (-4, 0, 4) if dy * dy + dx * dx <= 16])
    tones = rng.normal(0, 20, (3, 3)).astype(np.float32)
    for some in (tones, tones[:0]):
        found = nearest_squared(colours, expected, known, offsets, some)
        np.testing.assert_allclose(found, plain(colours, expected, known, offsets, some), rtol=1e-5)
    assert np.isinf(nearest_squared(colours, expected, known & False, offsets, tones[:0])).all()
