import csv

import cv2
import numpy as np

from tools.train.curve import running_mean, write_plot, write_table, write_validation
from tools.train.loop import COLUMNS


def _curve():
    rows = np.full((12, len(COLUMNS)), np.nan)
    rows[:, 0] = np.arange(1, 13)
    rows[:, 1] = np.arange(12) >= 5
    rows[:, 2] = 1 / (1 + np.arange(12))
    rows[5:, 3] = 0.1 + 1 / 3
    rows[:, 6:] = 0.001
    return rows


def test_table_keeps_every_bit_and_leaves_unknown_cells_empty(tmp_path):
    write_table(_curve(), tmp_path / "loss.csv")
    with (tmp_path / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["autoencoder"] * 5 + ["denoiser"] * 7
    assert float(rows[7]["human"]) == 0.1 + 1 / 3
    assert rows[0]["human"] == rows[7]["occluder"] == ""
    assert rows[11]["step"] == "12"


def test_running_mean():
    values = np.array([1.0, np.nan, 3.0, 5.0])
    assert np.allclose(running_mean(values, 2), [1, 1, 3, 4])
    assert np.isnan(running_mean(np.array([np.nan]), 3)).all()


def test_plot_is_a_picture(tmp_path):
    write_plot(_curve(), tmp_path / ".loss.png.123.partial")
    image = cv2.imread(str(tmp_path / ".loss.png.123.partial"))
    assert image.shape[0] > 300 and image.std() > 5
    write_plot(_curve()[5:], tmp_path / "one.png")
    write_plot(_curve()[:1], tmp_path / "first.png")


def test_validation_has_a_table_and_is_drawn(tmp_path):
    rows = np.array([[8, 0.1 + 1 / 3, 2.0, np.nan, 1.0], [12, 0.5, 1.0, np.nan, 1.0]])
    write_validation(rows, tmp_path / "validation.csv")
    lines = (tmp_path / "validation.csv").read_text().splitlines()
    assert lines[:2] == ["step,loss,human,scene,occluder", f"8,{0.1 + 1 / 3!r},2.0,,1.0"]
    write_validation(rows[:0], tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == lines[0] + "\n"
    write_plot(_curve(), tmp_path / "without.png", rows[:0])
    write_plot(_curve(), tmp_path / "with.png", rows)
    assert (cv2.imread(str(tmp_path / "without.png")) != cv2.imread(str(tmp_path / "with.png"))).any()
