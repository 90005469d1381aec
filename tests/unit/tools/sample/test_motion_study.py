import logging

import numpy as np
import pytest
import torch

from model_zoo.diffusion import checkpoint
from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import LAYERS, clip_arrays, collate, reference_picture
from model_zoo.diffusion.posing import Poser
from tests import examples
from tools.sample import cli
from tools.sample.motion_study import Study, body_masks, crossed, overlap, people, study
from tools.train.objective import Objective
from workflow.errors import ToolError
from workflow.shard_reader import Shard

CONFIG = MimoConfig(
    height=32, width=32, frames=2, num_vertices=144, vae_channels=(8, 8), unet_channels=(16, 32), unet_heads=(2, 2),
    cross_dim=8, code_dim=8, motion_channels=(16, 16), scene_prior=0.15,
)  # fmt: skip
CPU = torch.device("cpu")
STARTS = (0, 8, 27)  # of the doll's walk: in the middle, right, left


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    yield


@pytest.fixture(scope="module")
def shard_path(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    return examples.shard(root, split="train", name="s00000", lengths=(31, 31), rejected=(), height=48, width=48)


@pytest.fixture(scope="module")
def windows(shard_path):
    """Two scenes with their doll in three places each."""
    shard = Shard(shard_path)
    made = []
    for start in STARTS:
        for clip in shard.clips:
            layers = shard.read_window(clip, start, 2, LAYERS)
            layers["occluder"] = np.zeros_like(layers["occluder"])
            reference = reference_picture(layers["rgb"][0], layers["human"][0], CONFIG.reference_size)
            made.append(clip_arrays(layers, shard.read_clip(clip, ("betas",))["betas"], reference, CONFIG, 2))
    return made


@pytest.fixture(scope="module")
def poser():
    return Poser(examples.body_model())


def learn(model, poser, windows, steps):
    """The denoiser's objective on a few windows, without anything around it."""
    pictures = torch.cat([torch.from_numpy(w.video) for w in windows], 1).transpose(0, 1)
    model.latents.prepare(pictures)
    model.latents.measure(pictures)
    model.latents.requires_grad_(False)
    objective = Objective(model, poser)
    weights = [parameter for _, parameter in model.trained()]
    optimizer = torch.optim.AdamW(weights, 3e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        known = collate([windows[(step + n) % len(windows)] for n in range(2)], CPU)
        noise = torch.randn((2, 4, 2, *CONFIG.latent_size), generator=generator)
        timestep = torch.randint(0, CONFIG.timesteps, (2,), generator=generator)
        optimizer.zero_grad()
        objective(known, noise, timestep).mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()


def test_a_trained_model_puts_people_where_the_driving_body_is(windows, poser):
    torch.manual_seed(0)
    model = MimoModel(CONFIG)
    learn(model, poser, windows, 100)
    # Right in one scene, left in the other: swapped, each must move to the other side.
    found = study(model.eval(), poser, [windows[2], windows[5]], steps=6, guidance=1.0, device=CPU).figures()
    assert found["own"] > 2 * found["own_control"]
    assert found["swapped"] > 2 * found["swapped_kept"]
    assert found["swapped"] > 0.6 * found["source"]


def test_figures_are_means_of_the_right_overlaps():
    overlaps = np.arange(27.0).reshape(3, 3, 3)
    found = Study(overlaps, np.array([0.5, 0.7, 0.9])).figures()
    assert found["source"] == pytest.approx(0.7)
    assert found["own"] == np.mean([overlaps[i, i, i] for i in range(3)])
    pairs = [(i, j, 3 - i - j) for i in range(3) for j in range(3) if i != j]
    assert found["swapped"] == np.mean([overlaps[i, j, j] for i, j, _ in pairs])
    assert found["swapped_kept"] == np.mean([overlaps[i, j, i] for i, j, _ in pairs])
    assert found["swapped_control"] == np.mean([overlaps[i, j, k] for i, j, k in pairs])
    assert found["own_control"] == np.mean([overlaps[i, i, k] for i, _, k in pairs])


def test_overlap_and_people():
    one, other = np.zeros((2, 2, 4), bool), np.zeros((2, 2, 4), bool)
    one[0, :, :2], other[0, :, 1:3] = True, True
    everywhere = np.ones_like(one)
    assert overlap(one, other, everywhere) == pytest.approx((2 / 6 + 0) / 2)
    right = everywhere.copy()
    right[:, :, 0] = False
    assert overlap(one, other, right) == pytest.approx((2 / 4 + 0) / 2)
    scene, video = torch.zeros(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    video[:, 0, 1, 1] = 0.5
    video[0, 0, 0, 0] = 0.5  # one channel alone is below the threshold in the mean
    assert people(video, scene)[0].tolist() == [[False, False], [False, True]]


def test_crossed_clips_take_body_and_camera_alone(windows, poser):
    torch.manual_seed(0)
    model = MimoModel(CONFIG)
    mixed = crossed(windows[2], windows[5])
    assert (mixed.scene == windows[2].scene).all() and (mixed.reference == windows[2].reference).all()
    assert (mixed.pose == windows[5].pose).all() and (mixed.transl == windows[5].transl).all()
    right, left = (body_masks(model, poser, collate([window], CPU)) for window in (windows[2], windows[5]))
    assert (body_masks(model, poser, collate([mixed], CPU)) == left).all()
    columns = [np.nonzero(mask.any((0, 1)))[0].mean() for mask in (right, left)]
    assert columns[0] > columns[1] + 2
    human = windows[2].human_mask > 0.5
    assert overlap(right, human, np.ones_like(human)) > 0.4


def test_the_command_asks_the_model_of_the_directory(shard_path, tmp_path, monkeypatch, capsys, caplog):
    root = shard_path.parents[3]
    (tmp_path / "shards").symlink_to(root / "shards")
    for folder in ("work", "train"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToolError, match=r"train/model.safetensors, .*not there"):
        cli.main(["motion"])
    np.savez("work/body_model.npz", **examples.body_model())
    torch.manual_seed(0)
    record = {"config": {"guidance": 1.0, "cpu_threads": 1}}
    model = MimoModel(CONFIG)
    checkpoint.save(model, {}, tmp_path / "train" / "model.safetensors", tmp_path / "train" / "model.json", record)
    with caplog.at_level(logging.INFO):
        assert cli.main(["motion", "--steps", "1", "--device", "cpu"]) == 0
    assert "another clip's motion, that clip's body" in capsys.readouterr().out
    assert caplog.text.count(", motion ") == 4
    with pytest.raises(ToolError, match="at least 2"):
        cli.main(["motion", "--clips", "1"])
