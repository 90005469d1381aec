"""Small videos made by FFmpeg, once a session, and a working directory with footage."""

import shutil
import subprocess

import imageio_ffmpeg
import pytest

PATTERN = "testsrc=size=96x64:rate=25:duration={seconds}"


def ffmpeg(*args):
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, args)], check=True, timeout=60
    )


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """Folder of videos, none of which a test may change."""
    folder = tmp_path_factory.mktemp("media")
    h264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")

    def pattern(name, seconds, *more, source=PATTERN):
        ffmpeg("-f", "lavfi", "-i", source.format(seconds=seconds), *(more or h264), folder / name)

    pattern("plain.mp4", 2)
    pattern("other.mp4", 1, source="testsrc2=size=96x64:rate=25:duration={seconds}")
    pattern("one.mp4", 0.04)
    pattern("slow.mp4", 4, source="testsrc=size=96x64:rate=2:duration={seconds}")
    pattern("wide.mp4", 0.12, source="color=gray:size=4000x300:rate=25:duration={seconds}")
    pattern(
        "odd.mkv", 0.4, "-c:v", "ffv1", "-pix_fmt", "yuv420p", source="testsrc=size=97x65:rate=25:duration={seconds}"
    )
    pattern("anamorphic.mp4", 0.4, "-vf", "setsar=16/11", *h264)
    pattern("interlaced.mpg", 1, "-vf", "interlace", "-c:v", "mpeg2video", "-flags", "+ilme+ildct")
    pattern("alpha.mov", 0.4, "-vf", "format=argb", "-c:v", "qtrle")
    pattern("ntsc.mkv", 1, *h264, source="testsrc=size=96x64:rate=30000/1001:duration={seconds}")
    pattern("variable.mp4", 2, "-vf", "select=not(mod(n\\,3))+eq(mod(n\\,7)\\,1)", "-fps_mode", "vfr", *h264)
    pattern("sound.mp4", 0.5, "-c:a", "aac", source="sine=duration={seconds}")
    ffmpeg("-display_rotation", 90, "-i", folder / "plain.mp4", "-c", "copy", folder / "turned.mp4")
    hdr = ("-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc")
    x265 = "log-level=error:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
    pattern("hdr.mp4", 0.4, "-c:v", "libx265", "-x265-params", x265, "-pix_fmt", "yuv420p10le", *hdr)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video\n" * 100)
    whole = (folder / "plain.mp4").read_bytes()
    (folder / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    ffmpeg("-i", folder / "plain.mp4", "-c", "copy", folder / "plain.mkv")
    whole = (folder / "plain.mkv").read_bytes()
    (folder / "torn.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    scenes = "[0:v]trim=end_frame=23[a];[1:v]trim=end_frame=17[b];[a][b]concat"
    ffmpeg(
        *("-f", "lavfi", "-i", "mandelbrot=size=96x64:rate=25"),
        *("-f", "lavfi", "-i", "testsrc=size=96x64:rate=25"),
        *("-filter_complex", scenes, *h264, folder / "cut.mp4"),
    )
    return folder


@pytest.fixture
def footage(tmp_path, media, monkeypatch):
    """Copies videos into `footage/` of a fresh working directory, which becomes the current one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "footage"
    folder.mkdir()

    def put(source, name=None):
        shutil.copyfile(media / source, folder / (name or source))
        return folder / (name or source)

    return put
