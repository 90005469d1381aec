"""Small videos made by FFmpeg, once a session."""

import subprocess
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
import pytest

from workflow import catalog

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
BARS_RGB = ((200, 40, 30), (30, 180, 60), (40, 60, 210), (190, 190, 180))


def ffmpeg(*args, stdin=None):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, args)]
    subprocess.run(command, input=stdin, check=True, timeout=60)


@pytest.fixture(scope="session")
def bars():
    """Four columns of known colours, (48, 64, 3) uint8 RGB; a white corner tells which way is up."""
    picture = np.repeat(np.repeat(np.array(BARS_RGB, np.uint8)[None], 16, axis=1), 48, axis=0)
    picture[:16, :16] = 255
    return picture


@pytest.fixture(scope="session")
def media(tmp_path_factory, bars):
    """Folder of videos."""
    folder = tmp_path_factory.mktemp("media")
    still = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", "25", "-i", "pipe:0")
    raw = bars.tobytes() * 6

    def write(name, *args):
        ffmpeg(*still, *args, folder / name, stdin=raw)

    lossless = ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p")
    for matrix, space in (("bt709", "bt709"), ("bt601", "smpte170m")):
        for span in ("tv", "pc"):
            convert = f"scale=out_color_matrix={matrix}:out_range={span}:flags=accurate_rnd"
            write(f"{matrix}-{span}.mp4", "-vf", convert, "-colorspace", space, "-color_range", span, *lossless)
    write("unnamed.mp4", "-vf", "scale=out_color_matrix=bt601:out_range=tv", *lossless)
    write("ten.mkv", "-vf", "scale=out_color_matrix=bt601", "-c:v", "ffv1", "-pix_fmt", "yuv444p10le")
    write("anamorphic.mp4", "-vf", "setsar=2", *lossless)
    half = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(Y,32),255,128)'"
    write("alpha.mov", "-vf", half, "-c:v", "qtrle")
    write("alpha.webm", "-vf", half, "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "4", "-b:v", "0")
    for degrees in (90, 180, 270):
        ffmpeg(
            "-display_rotation", degrees, "-i", folder / "unnamed.mp4", "-c", "copy", folder / f"turned{degrees}.mp4"
        )
    ffmpeg("-display_hflip", "-i", folder / "unnamed.mp4", "-c", "copy", folder / "mirrored.mp4")
    for name, transfer in (("pq", "smpte2084"), ("hlg", "arib-std-b67")):
        to_hdr = (
            f"format=gbrpf32le,zscale=min=gbr:tin=bt709:pin=bt709:rin=full:t={transfer}:p=bt2020:m=bt2020nc:r=limited"
            ":npl=203,format=yuv420p10le"
        )
        tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
        write(f"{name}.mp4", "-vf", to_hdr, "-c:v", "libx264", "-crf", "4", *tags)

    def moving(name, *args, seconds=8, rate="25", size="64x48"):
        source = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
        ffmpeg("-f", "lavfi", "-i", source, *args, folder / name)

    moving("long.mp4", *H264[:2], "-preset", "fast", "-g", "50", "-pix_fmt", "yuv420p")
    ffmpeg("-i", folder / "long.mp4", "-c", "copy", folder / "long.mkv")
    ffmpeg("-i", folder / "long.mp4", "-c", "copy", folder / "long.ts")
    moving("long.avi", "-c:v", "mpeg4", "-bf", "2", "-g", "40")
    moving("variable.mp4", "-vf", "select=not(mod(n\\,3))+eq(mod(n\\,7)\\,1)", "-fps_mode", "vfr", *H264, "-g", "30")
    moving("odd.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", seconds=0.4, size="65x49")
    moving("wide.mp4", *H264, seconds=0.12, size="4000x300")
    moving(
        "interlaced.mpg",
        "-vf",
        "interlace",
        "-c:v",
        "mpeg2video",
        "-flags",
        "+ilme+ildct",
        "-q:v",
        "2",
        rate="50",
        seconds=1,
    )
    whole = (folder / "long.mkv").read_bytes()
    (folder / "torn.mkv").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def clip():
    """Builds a row of a manifest; the facts are those of an ordinary 64 x 48 video unless given."""

    def build(start=0, end=6, first_us=None, last_us=None, fps="25/1", **facts):
        if first_us is None and facts.pop("timed", True):
            step = Fraction(1_000_000) / Fraction(fps)
            first_us, last_us = round(start * step), round((end - 1) * step)
        ordinary = {
            "width": 64, "height": 48, "rotation": 0.0, "codec": "h264 yuv420p", "interlaced": False, "alpha": False,
            "range": "tv", "matrix": "unknown", "primaries": "unknown", "transfer": "unknown", "damaged": False,
        }  # fmt: skip
        sha256 = "0" * 64
        return catalog.Clip(
            catalog.clip_id(sha256, start, end), sha256, start, end, 0, first_us, last_us, fps, **{**ordinary, **facts}
        )

    return build
