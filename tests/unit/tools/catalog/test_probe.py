import pytest

from tools import decoder
from tools.catalog import probe, shots
from workflow.errors import ToolError


def test_facts_of_a_plain_video(media):
    facts = probe.probe(media / "plain.mp4")
    assert (facts.width, facts.height, facts.rate, facts.rotation) == (96, 64, 25.0, 0.0)
    assert facts.codec == "h264 yuv420p"
    assert facts.duration_s == pytest.approx(2.0, abs=0.01)
    assert not facts.interlaced
    assert not facts.alpha


def test_turned_video_has_its_upright_size(media):
    facts = probe.probe(media / "turned.mp4")
    assert (facts.width, facts.height, facts.rotation) == (64, 96, 270.0)


def test_pixels_are_made_square(media):
    assert probe.probe(media / "anamorphic.mp4").width == 140  # 96 * 16 / 11


def test_odd_size_interlace_alpha_and_hdr(media):
    odd = probe.probe(media / "odd.mkv")
    assert (odd.width, odd.height) == (97, 65)
    assert probe.probe(media / "interlaced.mpg").interlaced
    assert probe.probe(media / "alpha.mov").alpha
    hdr = probe.probe(media / "hdr.mp4")
    assert (hdr.transfer, hdr.matrix, hdr.primaries) == ("arib-std-b67", "bt2020nc", "bt2020")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.mp4", "the file is empty"),
        ("text.mp4", "not a video"),
        ("headless.mp4", "moov atom not found"),
        ("sound.mp4", "no video stream, only audio"),
    ],
)
def test_unreadable_files_say_why(media, name, reason):
    with pytest.raises(probe.Unreadable, match=reason):
        probe.probe(media / name)


def test_a_crash_is_about_the_file(media, tmp_path, monkeypatch):
    crashing = tmp_path / "ffmpeg"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(decoder, "binary", lambda: str(crashing))
    with pytest.raises(probe.Unreadable, match="crashes on it .signal 11"):
        probe.probe(media / "plain.mp4")
    found = shots.scan(media / "plain.mp4", (96, 64))
    assert len(found.times_us) == 0
    assert found.complaints == ("FFmpeg crashed (signal 11)",)


def test_an_ffmpeg_that_cannot_is_an_error(media, tmp_path, monkeypatch):
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\necho 'Unrecognized option' >&2\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setattr(decoder, "binary", lambda: str(old))
    with pytest.raises(ToolError, match="exit code 1 and gave no picture.*\n  Unrecognized option"):
        shots.scan(media / "plain.mp4", (96, 64))


def test_rotation_is_read_from_old_and_new_reports():
    report = (
        "Input #0, mov, from 'a':\n  Duration: 00:00:02.00, start: 0.0\n"
        "  Stream #0:0(eng): Video: h264 (High), yuv420p(tv, bt709), 320x180, 25 fps, 25 tbr\n"
        "    Side data:\n      {matrix}: rotation of -90.00 degrees\nStream mapping:\n"
        "[Parsed_showinfo_0 @ 0x1] n:   0 pts: 0 pts_time:0 duration: 512 fmt:yuv420p cl:left sar:1/1 s:180x320 i:P x\n"
        "[Parsed_showinfo_0 @ 0x1] color_range:tv color_space:bt709 color_primaries:bt709 color_trc:bt709\n"
    )
    for matrix in ("displaymatrix", "Display Matrix"):
        facts = probe.parse(report.format(matrix=matrix))
        assert (facts.rotation, facts.width, facts.matrix) == (90.0, 180, "bt709")
