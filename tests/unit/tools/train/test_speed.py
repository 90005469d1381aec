import dataclasses
import os

import pytest
import torch
from torch.nn import functional

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import collate
from model_zoo.diffusion.posing import Poser
from tests import examples
from tools.train import cli, speed
from tools.train.objective import Objective
from workflow.errors import ToolError
from workflow.stages.body_model import BODY_MODEL

CPU = torch.device("cpu")


def test_products_convolutions_and_attention_are_counted():
    one, other = torch.ones(3, 5), torch.ones(5, 7)
    assert speed._counted(lambda: one @ other) == 2 * 3 * 5 * 7
    picture, kernel = torch.ones(1, 4, 6, 6), torch.ones(8, 4, 3, 3)
    assert speed._counted(lambda: functional.conv2d(picture, kernel, padding=1)) == 2 * 36 * 8 * 4 * 9
    query, known = torch.ones(1, 2, 5, 8), torch.ones(1, 2, 9, 8)
    attended = speed._counted(lambda: functional.scaled_dot_product_attention(query, known, known))
    assert attended == 2 * (2 * 2 * 5 * 9 * 8), "two products of two heads"


def test_a_step_counts_the_frozen_once_and_the_rest_three_times(tiny_run, windows):
    objective = Objective(MimoModel(tiny_run.model), Poser(examples.body_model()))
    model = objective.model
    known = collate([windows.load(windows.draw(0, 0, 0), tiny_run.model)], CPU)
    noise = torch.randn(1, 4, 4, *model.config.latent_size)
    whole = speed._counted(lambda: objective(known, noise, torch.tensor([5])))
    still = sum(
        speed._counted(lambda video=video: model.latents.encode(video))
        for video in (known.video, known.scene, known.occluder, known.reference[:, :, None])
    )
    assert 0 < still < whole
    assert speed.flops(objective, known) == still + 3 * (whole - still)


def test_the_command_measures_a_recipe(dataset, recipe, tmp_path, monkeypatch, capsys):
    (tmp_path / "shards").symlink_to(dataset["root"] / "shards")
    body = tmp_path / BODY_MODEL.path
    body.parent.mkdir(parents=True)
    body.symlink_to(dataset["body_model"])
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert cli.main(["speed", "--steps", "2", "--device", "cpu"]) == 0
    assert sorted(path.name for path in tmp_path.rglob("*")) == before, "nothing is kept"
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].strip("|").split("|")]
    assert cells[:2] == ["`tiny`", f"{os.cpu_count()} cores"]
    assert float(cells[2]) > 0 and float(cells[3]) > 50 and float(cells[5]) > 0
    assert 0 <= float(cells[4].rstrip("%")) <= 100
    with pytest.raises(ToolError, match="steps is 0"):
        cli.main(["speed", "--steps", "0"])


def test_pretrained_weights_are_not_needed(dataset, tiny_run):
    config = dataclasses.replace(tiny_run, pretrained={"unet": "missing.safetensors"})
    found = speed.run("tiny", config, dataset["shards"], dataset["root"], dataset["body_model"], steps=1, device=CPU)
    assert found.flops > 0 and found.able > 0 and 0 <= found.waiting <= 1


def test_use_is_the_rate_over_what_the_device_can_do():
    found = speed.Speed("one", "tiny", steps_per_s=2.0, waiting=0.04, peak_mb=10.0, flops=3e12, able=24e12)
    assert found.table().splitlines()[-1] == "| `tiny` | one | 2.00 | 10 | 4.0% | 6 | 25% |"
