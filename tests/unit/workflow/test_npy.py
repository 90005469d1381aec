"""Arrays read from bytes equal numpy's own reading, from many threads too."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from workflow import npy
from workflow.errors import ContractError


def dumped(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype="int8").reshape(2, 3, 4),
        np.zeros((0, 0, 0), "uint16"),
        np.float64(3.5),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.arange(3, dtype=">f4"),
    ],
)
def test_it_equals_numpy(array):
    found = npy.loads(dumped(array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.asarray(array).dtype
    assert found.flags.writeable


def test_objects_and_short_files_are_refused():
    with pytest.raises(ContractError, match="Python objects"):
        npy.loads(dumped(np.array([{}], object)))
    with pytest.raises(ContractError, match="has 4 bytes"):
        npy.loads(dumped(np.zeros(8))[:-60])


def test_many_threads_at_once():
    files = [dumped(np.full((3, 1 + number), number)) for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(npy.loads, files * 5))
    assert all((array == number).all() for number, array in zip(list(range(200)) * 5, found))
