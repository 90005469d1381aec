import numpy as np
import torch

from tools.train.state import Folder, State, key


def _state(step):
    return State(
        step,
        {"a.b": torch.full((2,), float(step))},
        {"a.b": torch.zeros(2)},
        {"a.b/exp_avg": torch.ones(2)},
        np.arange(step * 2, dtype=np.float64).reshape(step, 2),
        np.full((1, 5), float(step)),
    )


def test_round_trip_and_limit(tmp_path):
    folder = Folder(tmp_path, {"seed": 1})
    assert folder.newest(100) is None
    for step in (1, 2, 3):
        folder.save(_state(step))
    newest = folder.newest(100)
    assert newest.step == 3
    assert torch.equal(newest.model["a.b"], torch.full((2,), 3.0))
    assert torch.equal(newest.optimizer["a.b/exp_avg"], torch.ones(2))
    assert newest.curve.tolist() == _state(3).curve.tolist()
    assert newest.validation.tolist() == [[3.0] * 5]
    assert folder.newest(2).step == 2, "never more steps than asked for"
    assert folder.newest(1) is None, "the newest two are kept"


def test_weights_and_averages_may_share_memory(tmp_path):
    tensor = torch.ones(3)
    Folder(tmp_path, {}).save(State(1, {"x": tensor}, {"x": tensor}, {}, np.zeros((1, 2)), np.zeros((0, 5))))
    assert torch.equal(Folder(tmp_path, {}).newest(1).averaged["x"], tensor)


def test_other_settings_start_anew_and_leave_the_others_alone(tmp_path, caplog):
    Folder(tmp_path, {"seed": 1}).save(_state(1))
    with caplog.at_level("INFO"):
        assert Folder(tmp_path, {"seed": 2}).newest(9) is None
    assert key({"seed": 1}) in caplog.text
    assert Folder(tmp_path, {"seed": 1}).newest(9).step == 1


def test_only_one_process_writes(tmp_path):
    folder = Folder(tmp_path, {}, writes=False)
    assert not folder.path.exists() and folder.newest(9) is None
    Folder(tmp_path, {}).save(_state(1))
    assert folder.newest(9).step == 1


def test_half_written_states_are_swept(tmp_path):
    folder = Folder(tmp_path, {})
    partial = folder.path / ".step-00000001.safetensors.4242.partial"
    partial.write_bytes(b"half")
    assert Folder(tmp_path, {}).newest(9) is None
    assert not partial.exists()
