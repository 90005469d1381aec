import json
import os
from pathlib import Path

import pytest

from tools.catalog import cli, scan
from workflow import catalog, store
from workflow.config import parse
from workflow.errors import ToolError
from workflow.stages.frames import Frames


@pytest.fixture
def taken(footage):
    """Working directory with three videos in the catalog."""
    footage("plain.mp4")
    footage("cut.mp4")
    footage("text.mp4")
    Path("footage/videos.csv").write_text("file,licence\nplain.mp4,CC0-1.0\n")
    return scan.sync(scan.Settings(["footage"]))


def run(capsys, *argv):
    assert cli.main(list(argv)) == 0
    return capsys.readouterr().out


def row_of(state, name):
    return state.by_video()[state.files[f"footage/{name}"].sha256][0]


def test_sync_from_the_command_line(footage, capsys):
    footage("plain.mp4")
    settings = json.dumps({"videos": ["footage"], "splits": {"train": 0, "val": 1, "test": 0}})
    run(capsys, "sync", "--settings", settings, "--dry-run", "--into", "plan.jsonl")
    assert not catalog.LOG.exists()
    assert set(catalog.read(Path("plan.jsonl")).shards().values()) == {"val"}
    run(capsys, "sync", "--settings", settings)
    assert catalog.read() == catalog.read(Path("plan.jsonl"))
    with pytest.raises(SystemExit):
        cli.main(["sync", "--settings", settings, "--dry-run"])


def test_list(taken, capsys):
    table = run(capsys, "list").splitlines()
    assert len(table) == 1 + len(taken.rows) + 1
    assert table[-1] == "4 rows: 3 active, 0 withdrawn, 1 rejected"
    (rejected,) = run(capsys, "list", "--status", "rejected", "--json").splitlines()
    assert json.loads(rejected)["video"] == "footage/text.mp4"
    rows = [json.loads(line) for line in run(capsys, "list", "--shard", "s00000", "--json").splitlines()]
    assert [row["licence"] for row in rows] == ["", "", "CC0-1.0"]
    assert len(run(capsys, "list", "--split", "test").splitlines()) == 2


def test_add_uses_the_settings_of_the_last_run(taken, footage, capsys):
    scan.sync(scan.Settings(["footage"], max_clip_frames=10))
    os.mkdir("more")
    footage("other.mp4").rename("more/-new.mp4")
    run(capsys, "add", "--", "more/-new.mp4")
    state = catalog.read()
    rows = state.by_video()[state.files["more/-new.mp4"].sha256]
    assert [row.clip.frames for row in rows] == [8, 8, 9]


def test_add_before_the_first_run_takes_the_defaults_of_the_configuration(footage, capsys):
    footage("plain.mp4")
    run(capsys, "add", "footage")
    wanted = parse({"videos": ["footage"]}).catalog_settings()
    assert {**catalog.read().settings, "videos": ["footage"]} == wanted


def test_withdraw_a_clip_and_a_video(taken, capsys):
    clip = row_of(taken, "cut.mp4")
    before = Path("work/s00000/clips.json").read_bytes()
    said = run(capsys, "withdraw", clip.id, "--reason", "asked to")
    assert said == f"withdrew {clip.id} from s00000\n1 shard will be made again at the next run\n"
    assert catalog.read().rows[clip.id].reason == "asked to"
    assert Path("work/s00000/clips.json").read_bytes() != before
    run(capsys, "withdraw", "footage/plain.mp4", clip.clip.sha256[:8], "--reason", "all")
    assert not any(catalog.read().members().values())
    assert "nothing to withdraw" in run(capsys, "withdraw", clip.id, "--reason", "again")
    with pytest.raises(ToolError, match="no clip, file or video"):
        cli.main(["withdraw", "nobody", "--reason", "x"])


@pytest.mark.parametrize("reason", ["", " ", "replaced: by a better take"])
def test_a_withdrawal_says_why_in_words_of_its_own(taken, reason):
    with pytest.raises(ToolError, match="--reason: is"):
        cli.main(["withdraw", "plain.mp4", "--reason", reason])
    assert catalog.read() == taken


def test_a_clip_whose_file_was_replaced_can_be_withdrawn_for_good(taken, footage, capsys):
    row = row_of(taken, "plain.mp4")
    before = Path("footage/plain.mp4").read_bytes()
    footage("other.mp4", "plain.mp4")
    assert catalog.is_replaced(scan.sync(scan.Settings(["footage"])).rows[row.id])
    run(capsys, "withdraw", row.id, "--reason", "consent revoked")
    Path("footage/plain.mp4").write_bytes(before)
    now = scan.sync(scan.Settings(["footage"])).rows[row.id]
    assert (now.status, now.reason) == ("withdrawn", "consent revoked")


def test_withdrawn_clips_stay_so(taken, capsys):
    clip = row_of(taken, "plain.mp4")
    run(capsys, "withdraw", clip.id, "--reason", "asked to")
    os.utime("footage/plain.mp4", ns=(1, 1))
    assert scan.sync(scan.Settings(["footage"])).rows[clip.id].status == "withdrawn"


def test_explain(taken, capsys):
    clip = row_of(taken, "plain.mp4")
    with store.writing(Path("work/s00000/frames.zip"), Frames, {}) as writer:
        writer.reject(clip.id, store.Rejection("frames", "unreadable frames"))
    for name in (
        clip.id,
        "footage/plain.mp4",
        os.path.abspath("footage/plain.mp4"),
        "./footage/plain.mp4",
        "plain.mp4",
    ):
        said = run(capsys, "explain", name)
        assert f"video {clip.clip.sha256}" in said
        assert "96x64, h264 yuv420p" in said
        assert "licence   CC0-1.0" in said
        assert "frames 0 to 50 (end excluded), shot 0, subject 0, train s00000" in said
        assert "rejected by frames: unreadable frames" in said
    assert "rejected  not a video" in run(capsys, "explain", "footage/text.mp4")
    assert "made before, or without, this clip" in run(capsys, "explain", row_of(taken, "cut.mp4").id)
