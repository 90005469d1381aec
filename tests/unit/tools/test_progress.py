"""Progress of long work as lines of a log."""

import logging

import pytest

from tools import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the work moves on by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    return now


def lines(clock, caplog, seconds):
    """What is said of work whose items take these seconds."""
    with caplog.at_level(logging.INFO):
        for item in progress.bar(seconds, len(seconds), "work"):
            clock[0] += item
    return caplog.messages


def test_a_line_every_ten_seconds_says_what_is_left(clock, caplog):
    assert lines(clock, caplog, [4.0] * 10) == [
        "work: 3 of 10, about 28 s left",
        "work: 6 of 10, about 16 s left",
        "work: 9 of 10, about 4 s left",
    ]


def test_the_first_items_make_no_guess_and_the_last_none_at_all(clock, caplog):
    assert lines(clock, caplog, [12.0, *[0.0] * 38, 12.0]) == ["work: 1 of 40"]


def test_short_work_says_nothing(clock, caplog):
    assert lines(clock, caplog, [1.0] * 9) == []


def test_items_come_through_on_a_terminal_too(clock, monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress.bar("abc", 3, "work")) == ["a", "b", "c"]
    assert "work" in capsys.readouterr().err
