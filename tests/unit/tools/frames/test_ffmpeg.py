import logging
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from tools import decoder
from tools.frames import ffmpeg
from workflow.errors import Rejected, ToolError
from workflow.stages.frames import FfmpegParams


def decode(path, row, **params):
    frames = ffmpeg.load(FfmpegParams(**{"jpeg_quality": 100, **params}), {})(row, path)
    frames.rgb.finish()
    return frames


def whole(path):
    """Every picture and time of a video by one plain decode, as (T, H, W, 3) and seconds."""
    decoding = decoder.Decoding(path, picture=lambda stream: stream.filter("format", "rgb24"))
    pictures = [picture.copy() for picture in decoding]
    return np.stack(pictures), np.array(decoding.times_us) / 1e6


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("span", ["tv", "pc"])
def test_colours_come_back_for_every_matrix_and_range(media, clip, bars, matrix, span):
    row = clip(range=span, matrix={"bt709": "bt709", "bt601": "smpte170m"}[matrix], codec="h264 yuv444p")
    frames = decode(media / f"{matrix}-{span}.mp4", row)
    assert frames.rgb.shape == (6, 48, 64, 3)
    assert difference(frames.rgb[0], bars).mean() < 2
    if span == "tv":
        wrong = decode(media / f"{matrix}-{span}.mp4", clip(range="pc", matrix=row.matrix))
        assert difference(wrong.rgb[0], bars).mean() > 5


def test_small_pictures_without_a_named_matrix_are_bt601_large_ones_bt709(media, clip, bars):
    assert difference(decode(media / "unnamed.mp4", clip()).rgb[0], bars).mean() < 2
    assert ffmpeg._colour(clip(height=720, width=1280))["in_color_matrix"] == "bt709"
    assert ffmpeg._colour(clip(codec="qtrle argb")) == {}


def test_ten_bits(media, clip, bars):
    assert difference(decode(media / "ten.mkv", clip(codec="ffv1 yuv444p10le")).rgb[3], bars).mean() < 2


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("turned90.mp4", lambda picture: np.rot90(picture)),
        ("turned180.mp4", lambda picture: np.rot90(picture, 2)),
        ("turned270.mp4", lambda picture: np.rot90(picture, 3)),
        ("mirrored.mp4", lambda picture: picture[:, ::-1]),
    ],
)
def test_pictures_are_upright(media, clip, bars, name, turn):
    upright = turn(bars)
    row = clip(height=upright.shape[0], width=upright.shape[1])
    assert difference(decode(media / name, row).rgb[0], upright).mean() < 2


def test_pixels_are_made_square(media, clip):
    assert decode(media / "anamorphic.mp4", clip(width=128)).rgb.shape == (6, 48, 128, 3)


@pytest.mark.parametrize(("name", "codec"), [("alpha.mov", "qtrle argb"), ("alpha.webm", "vp9 yuv420p")])
def test_transparency_is_over_black(media, clip, bars, name, codec):
    picture = decode(media / name, clip(alpha=True, codec=codec)).rgb[0]
    expected = bars.copy()
    expected[32:] = expected[32:] * (128 / 255)
    assert difference(picture, expected)[:, 2:62].mean() < 6
    assert difference(picture[40], expected[40]).mean() < 6


@pytest.mark.parametrize(("name", "transfer"), [("pq.mp4", "smpte2084"), ("hlg.mp4", "arib-std-b67")])
def test_hdr_is_tone_mapped(media, clip, bars, name, transfer):
    row = clip(codec="hevc yuv420p10le", matrix="bt2020nc", primaries="bt2020", transfer=transfer)
    frames = decode(media / name, row)
    assert frames.quality["tone_mapped"] == 1.0
    picture = frames.rgb[2].astype(int)
    for column in range(3):  # the strongest channel stays the strongest, and clearly so
        seen = picture[32:, 16 * column + 8].mean(axis=0)
        assert seen.argmax() == column
        assert seen[column] > 2 * np.median(seen)
    assert picture[2:14, 2:14].mean() > 180  # white stays light


def test_hdr_without_the_filters_says_so(media, clip, monkeypatch, caplog):
    monkeypatch.setattr(decoder, "filters", lambda: frozenset({"scale"}))
    ffmpeg._can_tone_map.cache_clear()
    row = clip(codec="hevc yuv420p10le", matrix="bt2020nc", primaries="bt2020", transfer="smpte2084")
    frames = decode(media / "pq.mp4", row)
    ffmpeg._can_tone_map.cache_clear()
    assert frames.quality["tone_mapped"] == 0.0
    assert "has no tonemap and zscale" in caplog.text
    assert len(frames.rgb) == 6


def test_interlaced_video_keeps_its_frame_count_and_loses_its_combs(media, clip):
    path = media / "interlaced.mpg"
    combed, times = whole(path)
    row = clip(0, 25, round(times[0] * 1e6), round(times[-1] * 1e6), codec="mpeg2video yuv420p", interlaced=True)
    frames = decode(path, row)
    assert len(frames.rgb) == 25

    def comb(pictures):
        """Mean difference of neighbouring lines beyond that of lines two apart."""
        lines = pictures.astype(int)
        return np.abs(np.diff(lines, axis=1)).mean() - np.abs(lines[:, 2:] - lines[:, :-2]).mean() / 2

    smooth = np.stack(list(frames.rgb))
    assert comb(smooth) < comb(combed)


def test_sizes(media, clip):
    assert decode(media / "odd.mkv", clip(0, 10, width=65, height=49)).rgb.shape == (10, 49, 65, 3)
    wide = clip(0, 3, width=4000, height=300)
    assert decode(media / "wide.mp4", wide).rgb.shape == (3, 300, 4000, 3)
    assert decode(media / "wide.mp4", wide, max_side=400).rgb.shape == (3, 30, 400, 3)
    assert ffmpeg.output_size(wide, 5000) == (4000, 300)
    assert ffmpeg.output_size(wide, 3) == (3, 1)


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.ts", "long.avi"])
@pytest.mark.parametrize(("start", "end"), [(0, 20), (99, 120), (130, 151), (180, 200)])
def test_spans_are_exact_wherever_they_begin(media, clip, monkeypatch, name, start, end):
    monkeypatch.setattr(ffmpeg, "SEEK_FROM_FRAME", 60)
    pictures, times = whole(media / name)
    assert len(pictures) == 200
    row = clip(start, end, round(times[start] * 1e6), round(times[end - 1] * 1e6))
    frames = decode(media / name, row)
    assert frames.rgb.shape == (end - start, 48, 64, 3)
    found = np.stack(list(frames.rgb))
    right = difference(found, pictures[start:end]).mean()
    assert right < 8  # JPEG and chroma; a neighbouring frame differs more
    assert right < difference(found[:-1], pictures[start + 1 : end]).mean()
    assert np.allclose(frames.timestamps, times[start:end] - times[start], atol=2e-6)
    assert frames.quality == {"decoded_share": 1.0}


def test_variable_rate_keeps_its_times(media, clip, monkeypatch):
    monkeypatch.setattr(ffmpeg, "SEEK_FROM_FRAME", 20)
    _, times = whole(media / "variable.mp4")
    row = clip(30, 60, round(times[30] * 1e6), round(times[59] * 1e6), fps="11/1")
    frames = decode(media / "variable.mp4", row)
    assert np.allclose(frames.timestamps, times[30:60] - times[30], atol=2e-6)
    assert len(set(np.diff(frames.timestamps).round(4))) > 1


def test_a_seek_that_misses_falls_back_to_counting(media, clip, caplog):
    caplog.set_level(logging.INFO)
    frames = decode(media / "long.mp4", clip(120, 140, 4_801_234, 5_561_234))  # not the file's times
    pictures, times = whole(media / "long.mp4")
    assert "not the catalogued times" in caplog.text
    assert len(frames.rgb) == 20
    assert difference(frames.rgb[0], pictures[120]).mean() < 8
    assert np.allclose(frames.timestamps, times[120:140] - times[120], atol=2e-6)


def test_resampling(media, clip):
    half = decode(media / "long.mp4", clip(0, 50), fps=12.5)
    assert len(half.rgb) == 25
    assert half.fps == 12.5
    assert np.allclose(half.timestamps, np.arange(25) / 12.5)
    pictures, _ = whole(media / "long.mp4")
    assert difference(half.rgb[10], pictures[20]).mean() < 8
    assert len(decode(media / "long.mp4", clip(0, 50), fps=50.0).rgb) in (99, 100)


def test_frames_before_the_damage_are_kept(media, clip):
    path = media / "torn.mkv"
    count = len(whole(path)[0])
    assert 20 < count < 180
    frames = decode(path, clip(0, 200))
    assert len(frames.rgb) == count
    assert frames.quality["decoded_share"] == pytest.approx(count / 200)
    with pytest.raises(Rejected, match=f"too short: {count} frames decode, 190 are needed"):
        decode(path, clip(0, 200), min_frames=190)
    with pytest.raises(Rejected, match="no frame of 190 to 200 decodes"):
        decode(path, clip(190, 200))


def test_unreadable_files_are_rejected(tmp_path, clip):
    path = tmp_path / "x.mp4"
    path.write_text("no video")
    with pytest.raises(Rejected, match="unreadable frames"):
        decode(path, clip())


def test_a_broken_ffmpeg_is_an_error(media, clip, monkeypatch, tmp_path):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\ncase \"$*\" in *filter_complex*) echo 'Unknown option x' >&2; exit 8;; esac\n")
    broken.chmod(0o755)
    monkeypatch.setattr(decoder, "binary", lambda: str(broken))
    with pytest.raises(ToolError) as caught:
        decode(media / "long.mp4", clip())
    assert "exit code 8" in str(caught.value)
    assert "Unknown option x" in str(caught.value)


def test_strange_names(media, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y a.mp4", 'it\'s "q" %03d.mp4', "a:b@\u00e9,;[0].mp4"):
        (tmp_path / name).symlink_to(media / "unnamed.mp4")
        assert len(decode(type(media)(name), clip()).rgb) == 6


def test_timestamps_always_increase(clip):
    times = np.array([0, 40_000, 40_000, 90_000])
    assert ffmpeg._timestamps(times, 4, clip(fps="10/1"), None) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert ffmpeg._timestamps(times[:2] + 7, 2, clip(), None).tolist() == [0.0, 0.04]


def test_the_same_clip_gives_the_same_bytes(media, clip):
    once, again = (decode(media / "long.mp4", clip(5, 15)) for _ in range(2))
    assert [once.rgb.encoded(i) for i in range(10)] == [again.rgb.encoded(i) for i in range(10)]


def test_decoding_can_be_left_early(media):
    decoding = decoder.Decoding(media / "long.mp4", picture=lambda stream: stream)
    for picture in decoding:
        assert picture.shape == (48, 64, 3)
        break
    assert Fraction(decoding.times_us[0]) == 0


def test_the_binary_runs():
    assert subprocess.run([decoder.binary(), "-version"], capture_output=True, check=True).stdout
    assert "scale" in decoder.filters()


@pytest.mark.parametrize(
    ("version", "usable"), [("4.3.6-0+deb11u1", False), ("5.1.6-0+deb12u1", True), ("N-1-g2a", True)]
)
def test_the_systems_ffmpeg_is_used_unless_too_old(tmp_path, monkeypatch, version, usable):
    system = tmp_path / "ffmpeg"
    system.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright'\n")
    system.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    decoder.binary.cache_clear()
    try:
        if usable:
            assert decoder.binary() == str(system)
        else:
            with pytest.raises(ToolError, match="is FFmpeg 4.3, older than 5.1"):
                decoder.binary()
    finally:
        decoder.binary.cache_clear()
