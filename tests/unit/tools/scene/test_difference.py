"""The quick difference equals the plain one."""

import numpy as np

from tools.scene.difference import farthest_channel


def test_it_equals_the_plain_formula():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 37, 53, 3), dtype=np.uint8)
    plain = np.abs(one.astype(np.int16) - other).max(-1)
    np.testing.assert_array_equal(farthest_channel(one, other), plain)
    np.testing.assert_array_equal(farthest_channel(one[5:20, 3:9], other[5:20, 3:9]), plain[5:20, 3:9])
