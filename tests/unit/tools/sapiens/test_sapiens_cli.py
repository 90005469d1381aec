import json
import warnings

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from tools.sapiens import cli
from workflow import layout
from workflow.errors import ToolError

torch.set_num_threads(1)
SIZE = (61, 83)  # odd and not square
LITE = "sapiens_lite_host/torchscript"


class Depth(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(x, 2).mean(dim=1, keepdim=True)


class Normal(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.0, 0.0, 2.0]).reshape(1, 3, 1, 1).expand(x.shape[0], 3, 128, 96)


class Bright(torch.nn.Module):
    """Foreground where the picture is not black."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(x, 2)
        out = torch.zeros(x.shape[0], self.classes, small.shape[2], small.shape[3])
        out[:, 1] = (small.mean(dim=1) + 1.5) * 10
        return out


class Spot(torch.nn.Module):
    """All joints at the brightest place of the red channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heat = torch.nn.functional.avg_pool2d(x[:, :1], 4).clamp(min=0) / 2.3
        return heat.repeat(1, 308, 1, 1)


def script(module, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Stand-ins under the published names in the lite layout, and a picture."""
    root = tmp_path / "root"
    for task, size, file, module in (
        ("depth", "1b", "sapiens_1b_render_people_epoch_88", Depth()),
        ("normal", "1b", "sapiens_1b_normal_render_people_epoch_115", Normal()),
        ("seg", "1b", "sapiens_1b_seg_foreground_epoch_8", Bright(2)),
        ("seg", "1b", "sapiens_1b_goliath_best_goliath_mIoU_7994_epoch_151", Bright(28)),
        ("pose", "1b", "sapiens_1b_goliath_best_goliath_AP_639", Spot()),
    ):
        script(module, root / LITE / task / "checkpoints" / f"sapiens_{size}" / f"{file}_torchscript.pt2")
    monkeypatch.setenv("SAPIENS_ROOT", str(root))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(layout, "WEIGHTS", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[10:50, 20:60] = np.linspace(100, 250, 40)[None, :, None]
    cv2.imwrite("in.png", picture)
    return tmp_path


def test_depth(place):
    assert (
        cli.main(
            [
                "depth",
                "in.png",
                "out.png",
                "out.npy",
                "--depth_model",
                "1b",
                "--seg_model",
                "fg-bg-1b",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    values, picture = np.load("out.npy"), cv2.imread("out.png")
    assert values.dtype == np.float32 and values.shape == SIZE and picture.shape == (*SIZE, 3)
    outside = np.isnan(values)
    assert outside[0].all() and not outside[15:45, 25:55].any()
    assert (picture[outside] == 0).all()
    assert (np.diff(values[30, 25:55]) > 0).all()
    # Inferno: near (dark here) is bright, far is dark.
    assert picture[30, 26].astype(int).sum() > picture[30, 54].astype(int).sum()


def test_depth_without_background_removal(place):
    assert cli.main(["depth", "in.png", "out.png", "out.npy", "--seg_model", "no-bg-removal", "--device", "cpu"]) == 0
    assert np.isfinite(np.load("out.npy")).all()


@pytest.mark.parametrize("segmenter", ["fg-bg-1b", "part-seg-1b"])
def test_normal(place, segmenter):
    assert cli.main(["normal", "in.png", "out.png", "n.npy", "--seg_model", segmenter, "--device", "cpu"]) == 0
    values, picture = np.load("n.npy"), cv2.imread("out.png")[..., ::-1]
    assert values.shape == (*SIZE, 3) and values.dtype == np.float32
    assert np.abs(values[30, 30] - [0, 0, 1]).max() < 1e-4
    assert (values[0, 0] == -1).all()
    assert picture[30, 30].tolist() == [127, 127, 254] and picture[0, 0].tolist() == [0, 0, 0]


def test_the_npy_of_normals_may_be_left_out(place):
    assert cli.main(["normal", "in.png", "out.png", "--device", "cpu"]) == 0
    assert not list(place.glob("*.npy"))


def spotted():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[..., 2] = 255 * np.exp(-((x - 33) ** 2 + (y - 41) ** 2) / 50)
    cv2.imwrite("in.png", picture)


@pytest.mark.parametrize("how", [["p.json"], ["--output_json", "p.json"]], ids=["third", "option"])
def test_pose(place, how):
    spotted()
    assert (
        cli.main(["pose", "in.png", "out.png", *how, "--model", "1b", "--kpt_threshold", "0.3", "--device", "cpu"]) == 0
    )
    (person,) = json.loads((place / "p.json").read_text())
    assert len(person) == 308
    x, y, confidence = person["left_wrist"]
    assert abs(x - 33) < 1 and abs(y - 41) < 1 and 0.8 < confidence < 1.1
    drawn = cv2.imread("out.png")
    assert drawn.shape == (*SIZE, 3) and (drawn != cv2.imread("in.png")).any()


def test_pose_in_heatmap_pixels_and_with_boxes(place):
    spotted()
    box = ["--box", "20", "20", "50", "60"]
    assert cli.main(["pose", "in.png", "out.png", "p.json", "--coords", "heatmap", *box, *box, "--device", "cpu"]) == 0
    people = json.loads((place / "p.json").read_text())
    assert len(people) == 2
    x, y, _ = people[0]["nose"]  # box 37.5 x 50 px after padding, centre (35, 40)
    assert abs(x - (33 - 35 + 18.75) / 37.5 * 192) < 4 and abs(y - (41 - 40 + 25) / 50 * 256) < 4


def test_the_json_may_not_be_named_twice(place):
    with pytest.raises(ToolError, match="named twice"):
        cli.main(["pose", "in.png", "out.png", "a.json", "--output_json", "b.json", "--device", "cpu"])


def test_the_order_in_which_checkpoints_are_looked_for(place, monkeypatch):
    flat = place / "flat"
    script(Normal(), flat / "sapiens_2b_normal_render_people_epoch_70_torchscript.pt2")
    common = ["normal", "in.png", "out.png", "--seg_model", "no-bg-removal", "--device", "cpu"]
    assert cli.main([*common, "--normal_model", "2b", "--checkpoint_dir", str(flat)]) == 0
    mine = script(Normal(), place / "mine.pt2")
    monkeypatch.delenv("SAPIENS_ROOT")
    assert cli.main([*common, "--normal_checkpoint", str(mine)]) == 0
    with pytest.raises(ToolError) as error:
        cli.main(common)
    told = str(error.value)
    assert "sapiens_1b_normal_render_people_epoch_115_torchscript.pt2 was not found" in told
    assert "https://huggingface.co/facebook/sapiens-normal-1b-torchscript" in told
    assert "CC-BY-NC-4.0" in told
    with pytest.raises(ToolError, match="absent.pt2 is no file"):
        cli.main([*common, "--normal_checkpoint", "absent.pt2"])


@pytest.mark.parametrize("where", ["flat", "lite"])
def test_the_name_that_other_hosts_give_a_checkpoint_is_known(place, monkeypatch, where):
    spotted()
    monkeypatch.setenv("SAPIENS_ROOT", str(place / "other"))
    folder = place / "flat" if where == "flat" else place / "other" / LITE / "pose/checkpoints/sapiens_1b"
    script(Spot(), folder / "sapiens_1b_goliath_best_goliath_AP_640_torchscript.pt2")
    assert cli.main(["pose", "in.png", "out.png", "--checkpoint_dir", str(place / "flat"), "--device", "cpu"]) == 0


def test_bad_files_are_said(place):
    (place / "text.png").write_text("no picture")
    with pytest.raises(ToolError, match="no picture that OpenCV reads"):
        cli.main(["normal", "text.png", "out.png"])
    with pytest.raises(ToolError, match="absent.png: is no file"):
        cli.main(["depth", "absent.png", "out.png"])
    with pytest.raises(ToolError, match="is no picture format"):
        cli.main(["normal", "in.png", "out.nothing", "--device", "cpu"])
    with pytest.raises(ToolError, match="sapiens depth: .*another network"):
        cli.main(
            [
                "depth",
                "in.png",
                "out.png",
                "--depth_checkpoint",
                str(script(Normal(), place / "n.pt2")),
                "--device",
                "cpu",
            ]
        )
    assert not (place / "out.png").exists()
