"""The front page of the report."""

import html as escapes
import json
import re

import pyarrow.parquet as pq
import pytest

from tests import examples
from tools.index import parquet
from tools.overview import html, posters, summary
from tools.report import html as report
from workflow import catalog
from workflow.errors import ContractError
from workflow.shard_reader import Shard
from workflow.stages.report import OverviewParams, PageParams
from workflow.stages.shards import ParquetParams


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    examples.shard(root, lengths=(9, 7))
    examples.shard(root, lengths=(5,), rejected=("keypoints",), seed=20, name="s00001", split="val")
    examples.index(root)
    log = root / "catalog" / "clips.jsonl"
    unreadable = [catalog.Video(digit * 64, reason=f"is no video (code {digit})") for digit in "de"]
    catalog.append(
        log,
        [
            catalog.status_event(
                Shard(root / "shards/train/s00000.zarr").clips[0].id, catalog.WITHDRAWN, "<asked> for"
            ),
            *map(catalog.video_event, unreadable),
            *(catalog.file_event(f"in/{v.sha256[0]} </script>.mp4", catalog.Seen(1, 1, v.sha256)) for v in unreadable),
        ],
    )
    stores = sorted(root.glob("shards/*/*.zarr/zarr.json"))
    parquet.run(ParquetParams(), {"catalog": log, "shards": stores}, {"index": root / "shards" / "index.parquet"})
    for store in stores:
        page = root / "reports" / store.parent.parent.name / f"{store.parent.stem}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        report.run(PageParams(frames=1, tile_px=32, preview_frames=0), {"shard": store}, {"page": page})
    return root


def written(root, path, **settings):
    inputs = {"index": root / "shards" / "index.parquet", "pages": sorted(root.glob("reports/*/*.html"))}
    html.run(OverviewParams(**settings), inputs, {"overview": path})
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(root):
    return written(root, root / "reports" / "index.html")


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page).group(1))


def test_totals(page):
    told = dict(re.findall(r"<dt>([^<]*)</dt><dd[^>]*>([^<]*)</dd>", page))
    assert told["clips"] == "2" and told["frames"] == "12" and told["shards"] == "2"
    assert told["rejected"] == "2" and told["withdrawn"] == "1"


def test_pages_of_shards_are_linked_and_exist(page, root):
    links = re.findall(r'<li><a href="([^"]*)"', page)
    assert links == ["train/s00000.html", "val/s00001.html"]
    for link in links:
        assert (root / "reports" / link).exists()


def test_the_page_needs_nothing_but_itself(page):
    assert "http" not in page and "url(" not in page and "import " not in page
    assert not re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(?!data:)', page)


def test_who_is_out_and_why(page):
    text = escapes.unescape(page)
    assert "example of a clip rejected by layers" in text
    assert "is no video (code \u2026)" not in text  # letters differ, not numbers: two reasons
    assert "is no video (code d)" in text and "is no video (code e)" in text
    assert "in/d </script>.mp4" in text
    assert "&lt;asked&gt; for" in page


def test_the_table_has_every_clip_with_its_figures(page, root):
    data = data_of(page)
    rows = [row for row in pq.read_table(root / "shards/index.parquet").to_pylist() if not summary.is_file(row)]
    assert [row[0] for row in data["rows"]] == [row["id"] for row in rows]
    assert [row[1] for row in data["rows"]] == [row["status"] for row in rows]
    name = "scene.inpainted_share"
    assert data["figures"][name] == [row[f"quality.{name}"] for row in rows]
    for figure, numbers in data["figures"].items():
        known = [number for number in numbers if number is not None]
        edges = data["bars"][figure]
        assert edges[0][0] == min(known) and edges[-1][1] == max(known)


def test_the_script_reads_as_many_columns_as_a_row_has(page):
    columns = re.search(r"const \[([^\]]*)\] = Array\((\d+)\)", page)
    names = columns.group(1).split(",")
    assert len(names) == int(columns.group(2)) == len(data_of(page)["rows"][0])


def test_thumbnails_are_those_of_stored_clips_and_bounded(page, root, tmp_path):
    data = data_of(page)
    assert set(data["posters"]) == {row[0] for row in data["rows"] if row[1] == "stored"}
    assert data_of(written(root, tmp_path / "few.html", thumbnails=0))["posters"] == {}


def test_same_inputs_same_bytes(root, page, tmp_path):
    assert written(root, tmp_path / "again.html") == page


def test_no_shards_at_all(tmp_path):
    log = tmp_path / "catalog" / "clips.jsonl"
    log.parent.mkdir()
    catalog.append(log, [catalog.video_event(catalog.Video("e" * 64, reason="is not a video"))])
    parquet.run(ParquetParams(), {"catalog": log, "shards": []}, {"index": tmp_path / "index.parquet"})
    html.run(OverviewParams(), {"index": tmp_path / "index.parquet", "pages": []}, {"overview": tmp_path / "o.html"})
    text = (tmp_path / "o.html").read_text(encoding="utf-8")
    assert "No clip is in the data set." in text and "is not a video" in text


def test_a_page_of_something_else_is_refused(tmp_path):
    (tmp_path / "s00000.html").write_text("<html></html>")
    with pytest.raises(ContractError, match="rerun the report stage"):
        posters.posters([tmp_path / "s00000.html"], 10)


def test_reasons_that_differ_in_numbers_are_one():
    rows = [{"stage": "frames", "reason": f"too short: {n} frames decode"} for n in (1, 2, 2)]
    rows.append({"stage": "frames", "reason": "other"})
    first, second = summary.reasons(rows)
    assert (first.text, len(first.clips)) == ("too short: \u2026 frames decode", 3)
    assert (second.text, len(second.clips)) == ("other", 1)


def test_amounts_keep_the_order_and_put_the_unknown_last():
    rows = [
        {"split": split, "length": 10, "fps": 5.0, "subject": "a", "shard": "s"}
        for split in ("val", "", "train", "val")
    ]
    found = summary.amounts(rows, "split", ("train", "val", "test"))
    assert [(group.name, group.clips, group.seconds) for group in found] == [
        ("train", 1, 2.0), ("val", 2, 4.0), ("", 1, 2.0),
    ]  # fmt: skip
