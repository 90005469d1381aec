import math

import pytest

from tools.train.board import Board

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def _read(folder, name):
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_steps_behind_the_last_state_are_not_shown_twice(tmp_path):
    killed = Board(tmp_path, 0)
    for step in (1, 2, 3, 4):
        killed.write(step, "denoiser", {"loss": float(step), "occluder": math.nan})
    killed.flush()  # and never closed: the state of step 2 was the last one saved
    board = Board(tmp_path, 2)
    for step in (3, 4, 5):
        board.write(step, "denoiser", {"loss": 10.0 * step})
    board.close()
    assert _read(tmp_path, "denoiser/loss") == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0), (5, 50.0)]
    killed.close()


def test_files_of_several_starts_are_read_in_the_order_of_the_starts(tmp_path):
    for done in (0, 1, 2):
        Board(tmp_path, done).close()
    seconds = [path.name.split(".")[3] for path in tmp_path.iterdir()]
    assert len(set(seconds)) == 3


def test_a_run_and_its_continuation_show_every_step_once(go, tmp_path):
    go(2, save_every=3)
    curve = go(4, save_every=3).curve
    (folder,) = (tmp_path / "run").glob("*/tensorboard")
    shown = _read(folder, "denoiser/loss")
    assert [step for step, _ in shown] == [5, 6, 7, 8]
    assert [value for _, value in shown] == pytest.approx(curve[4:, 2], rel=1e-6)
    assert len(_read(folder, "autoencoder/loss")) == 4
