"""The page on the format is complete, and what it shows runs."""

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests import examples
from tools.shards.shard_writer import digest_of
from workflow.shard import FRAME_FIGURES, JUDGES, LAYERS
from workflow.shard_reader import root_attributes

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "shard-format.md").read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    examples.shard(root)
    examples.index(root)
    return root


def test_every_snippet_runs(root):
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(snippets) == 2
    path = str(root / "shards" / "train" / "s00000.zarr")
    plain, ours = ({"path": path}, {"path": path})
    assert not re.search(r"^(import|from) (?!numpy|zarr)", snippets[0], re.M)
    exec(snippets[0], plain)
    exec(snippets[1], ours)
    assert plain["blend_weights"].shape == (*plain["nearest"].shape, 24)
    np.testing.assert_array_equal(plain["nearest"], ours["grid"])
    np.testing.assert_array_equal(plain["scene"][2:7], ours["window"]["scene"])
    np.testing.assert_array_equal(plain["scene"][3:8], ours["buffers"]["scene"])
    np.testing.assert_array_equal(plain["betas"], ours["once"]["betas"])


def test_the_page_names_everything(root):
    for name, layer in LAYERS.items():
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
        assert f" | {layer.dtype} | {layer.unit} | {layer.frame} | {layer.about} |" in line
    for name in (*JUDGES, *FRAME_FIGURES):
        assert f"`{name}" in PAGE
    attributes = root_attributes(root / "shards" / "train" / "s00000.zarr" / "zarr.json")
    for key in attributes:
        assert f"`{key}`" in PAGE
    for column in pq.read_schema(root / "shards" / "index.parquet").names:
        assert f"`{column}`" in PAGE or column.startswith("quality.")


def test_the_digest_is_as_the_page_says(root):
    attributes = root_attributes(root / "shards" / "train" / "s00000.zarr" / "zarr.json")
    digest = attributes.pop("digest")
    assert digest_of(attributes) == digest
