"""Items made ahead come in order, with their errors, and never too many at once."""

import threading

import pytest

from tools.ahead import ahead


def test_items_come_in_order_and_from_another_thread():
    made_in = []

    def items():
        for number in range(50):
            made_in.append(threading.get_ident())
            yield number

    assert list(ahead(items())) == list(range(50))
    assert set(made_in) != {threading.get_ident()}
    assert len(set(made_in)) == 1


def test_nothing_is_nothing():
    assert list(ahead([])) == []


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        for item in ahead(items()):
            seen.append(item)
    assert seen == [1, 2]


def test_no_more_than_depth_wait():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    stream = ahead(items(), depth=2)
    assert next(stream) == 0
    assert len(made) <= 3 + 1
    stream.close()
    assert len(made) <= 5
