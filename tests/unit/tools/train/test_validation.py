import cv2
import numpy as np
import pytest
import torch

from tools.train import averages, ranks, validation
from tools.train.data import Windows
from tools.train.objective import Objective


@pytest.fixture(scope="module")
def held_out(dataset, tiny_run):
    return Windows(dataset["shards"], "val", tiny_run.model.frames, tiny_run.min_valid)


def test_the_same_weights_have_the_same_loss_and_others_another(go, held_out, tmp_path):
    outcome = go(4, held_out=held_out, rhythm={"validate_every": 2})
    assert outcome.validation[:, 0].tolist() == [6, 8]
    assert np.isfinite(outcome.validation[:, :4]).all()
    assert outcome.validation[0, 1] != outcome.validation[1, 1]
    from model_zoo.diffusion.posing import Poser
    from tests import examples

    objective = Objective(outcome.model, Poser(examples.body_model()))
    accelerator = ranks.accelerator(torch.device("cpu"), "float32")
    weight = outcome.model.denoiser.unet.conv_in.weight
    own = weight.detach().clone()
    with averages.used(outcome.averaged, outcome.model):
        again = validation.losses(objective, held_out, accelerator)
        assert not weight.requires_grad or not torch.is_grad_enabled()
    assert again == pytest.approx(outcome.validation[1, 1:].tolist(), nan_ok=True), "of the averaged weights"
    assert torch.equal(weight, own), "the weights are back"
    with torch.no_grad():
        assert validation.losses(objective, held_out, accelerator)[0] != again[0]


def test_validation_and_videos_change_nothing_in_the_training(go, held_out):
    plain = go(3, folder="plain")
    watched = go(3, folder="watched", held_out=held_out, rhythm={"validate_every": 1, "sample_every": 1})
    assert np.array_equal(plain.curve, watched.curve, equal_nan=True)
    assert all(torch.equal(plain.averaged[name], tensor) for name, tensor in watched.averaged.items())


def test_a_run_goes_on_with_the_validation_it_had(go, held_out):
    rhythm = {"validate_every": 2}
    whole = go(6, folder="whole", held_out=held_out, rhythm=rhythm)
    go(3, folder="parts", held_out=held_out, rhythm=rhythm)
    assert np.array_equal(go(6, folder="parts", held_out=held_out, rhythm=rhythm).validation, whole.validation)


def test_videos_show_the_held_out_window_beside_the_source(go, held_out, tmp_path):
    go(2, held_out=held_out, rhythm={"sample_every": 2})
    (path,) = (tmp_path / "run").glob("*/samples/*.mp4")
    assert path.name == "step-00000006.mp4"
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    assert len(frames) == 4 and frames[0].shape == (256, 512, 3)
    known = held_out.load(held_out.draw(0, 0, 0), _sizes())
    source = cv2.cvtColor(frames[0][:, 256:], cv2.COLOR_BGR2RGB) / 127.5 - 1
    expected = cv2.resize(known.video[:, 0].transpose(1, 2, 0), (256, 256), interpolation=cv2.INTER_CUBIC)
    assert np.abs(source - expected).mean() < 0.15


def _sizes():
    from tests.unit.tools.train.conftest import tiny_run

    return tiny_run.__wrapped__().model
