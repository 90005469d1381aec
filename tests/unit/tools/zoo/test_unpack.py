import io
import stat
import tarfile
import zipfile

import pytest

from tools.zoo import unpack
from workflow.errors import ToolError


def zipped(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


def tarred(path, entries):
    with tarfile.open(path, "w:gz") as archive:
        for name, data, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.linkname = data.decode()
                archive.addfile(info)
    return path


REG = tarfile.REGTYPE


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_wanted_members_are_taken_out(tmp_path, kind):
    entries = [("top/data/a.bin", b"one"), ("top/b.bin", b"two"), ("top/c/", b"")]
    path = tmp_path / "archive"
    if kind == "zip":
        zipped(
            path,
            [(name, data, 0o644 | (stat.S_IFDIR if name.endswith("/") else stat.S_IFREG)) for name, data in entries],
        )
    else:
        tarred(path, [(name, data, tarfile.DIRTYPE if name.endswith("/") else REG) for name, data in entries])
    unpack.take(path, kind, {"data/a.bin": tmp_path / "out" / "a", "top/b.bin": tmp_path / "out" / "b"})
    assert (tmp_path / "out" / "a").read_bytes() == b"one"
    assert (tmp_path / "out" / "b").read_bytes() == b"two"
    with pytest.raises(ToolError, match="holds 0 files named"):
        unpack.take(path, kind, {"nothing": tmp_path / "n"})


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil", "C:/evil"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_that_lead_out_are_refused(tmp_path, kind, name):
    path = tmp_path / "archive"
    if kind == "zip":
        zipped(path, [("good", b"x", 0o644), (name, b"x", 0o644)])
    else:
        tarred(path, [("good", b"x", REG), (name, b"x", REG)])
    with pytest.raises(ToolError, match="refused"):
        unpack.take(path, kind, {"good": tmp_path / "out" / "good"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path, kind):
    path = tarred(tmp_path / "archive", [("good", b"x", REG), ("link", b"/etc/passwd", kind)])
    with pytest.raises(ToolError, match="link or a device"):
        unpack.take(path, "tar", {"good": tmp_path / "good"})
    assert not (tmp_path / "good").exists()


def test_links_of_a_zip_are_refused(tmp_path):
    path = zipped(tmp_path / "archive", [("link", b"/etc/passwd", stat.S_IFLNK | 0o777)])
    with pytest.raises(ToolError, match="link or a device"):
        unpack.members(path, "zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path):
    path = zipped(tmp_path / "archive", [("a", b"one", 0o644), ("a", b"two", 0o644)])
    with pytest.raises(ToolError, match="twice"):
        unpack.members(path, "zip")


def test_an_archive_too_large_to_be_true_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "_LARGEST", 1000)
    path = zipped(tmp_path / "archive", [("a", b"0" * 2000, 0o644)])
    with pytest.raises(ToolError, match="2000 bytes when unpacked"):
        unpack.members(path, "zip")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_is_no_archive_is_said(tmp_path, kind):
    (tmp_path / "archive").write_bytes(b"nothing of the kind")
    with pytest.raises(ToolError, match="no readable"):
        unpack.members(tmp_path / "archive", kind)


def test_a_damaged_member_does_not_arrive(tmp_path):
    path = zipped(tmp_path / "archive", [("a", b"0123456789" * 100, 0o644)])
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"0123456789") + 5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ToolError, match="no readable"):
        unpack.take(path, "zip", {"a": tmp_path / "out"})
    assert not (tmp_path / "out").exists()
