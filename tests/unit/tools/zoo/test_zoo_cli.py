import hashlib
import json
import logging
import zipfile

import pytest

from tools.zoo import cli
from workflow import pins, zoo
from workflow.errors import ToolError

CONTENT = b"weights of a network"
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def place(tmp_path):
    """Folder, and a manifest with one entry of every kind."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "net.pt").write_bytes(CONTENT)
    with zipfile.ZipFile(tmp_path / "site" / "both.zip", "w") as archive:
        archive.writestr("data/one.bin", b"one")
        archive.writestr("data/two.bin", b"two")
    site = (tmp_path / "site").as_uri()
    common = {"format": "state_dict", "licence": "MIT", "page": "https://example.org"}
    weights = {
        "published": {
            "title": "with sums", "file": "a/net.pt", "urls": [f"{site}/absent", f"{site}/net.pt"], "bytes": 20,
            "sha256": SHA, **common,
        },
        "unpublished": {"title": "without", "file": "b/free.pt", "urls": [f"{site}/net.pt"], "group": "some", **common},
        "form": {
            "title": "asks", "file": "c/asked.pkl", "form": "Register there.", "group": "some", "backends": ["body/x"],
            **common,
        },
        "one": {"title": "1", "file": "one.bin", "archive": "both", "member": "data/one.bin", **common},
        "two": {"title": "2", "file": "two.bin", "archive": "both", "member": "data/two.bin", **common},
    }  # fmt: skip
    manifest = {"weights": weights, "archives": {"both": {"kind": "zip", "urls": [f"{site}/both.zip"]}}}
    (tmp_path / "weights.yaml").write_text(json.dumps(manifest))
    return tmp_path


def run(place, *arguments):
    return cli.main(["--folder", str(place / "w"), "--manifest", str(place / "weights.yaml"), *arguments])


def test_fetch_checks_against_the_published_sum(place):
    assert run(place, "fetch", "published") == 0
    assert (place / "w/a/net.pt").read_bytes() == CONTENT
    assert run(place, "fetch", "published") == 0  # is there: nothing is done
    (place / "w/a/net.pt").write_bytes(b"x" * 20)
    with pytest.raises(ToolError, match="damaged or another version"):
        pins.verified(zoo.read(place / "weights.yaml").weights["published"], place / "w/a/net.pt", place / "w")
    assert run(place, "fetch", "published", "--again") == 0
    assert (place / "w/a/net.pt").read_bytes() == CONTENT


def test_an_unpublished_sum_is_recorded_and_holds_from_then_on(place, caplog):
    assert run(place, "fetch", "unpublished") == 0
    lock = json.loads((place / "w/weights.lock.json").read_text())
    assert lock["unpublished"] == {"sha256": SHA, "bytes": 20, "file": "b/free.pt"}
    (place / "site/net.pt").write_bytes(b"another version of i")
    assert run(place, "fetch", "unpublished", "--again") == 1
    assert f"expected {SHA}" in caplog.text
    assert (place / "w/b/free.pt").read_bytes() == CONTENT


def test_what_needs_a_form_is_explained_and_the_rest_fetched(place, caplog):
    assert run(place, "fetch", "some") == 1
    assert "Register there." in caplog.text
    assert "zoo add FILE --as form" in caplog.text
    assert (place / "w/b/free.pt").exists()


def test_add_takes_over_a_file(place):
    (place / "asked.pkl").write_bytes(b"body")
    assert run(place, "add", str(place / "asked.pkl")) == 0
    assert (place / "w/c/asked.pkl").read_bytes() == b"body"
    with pytest.raises(ToolError, match="0 weights are called so"):
        run(place, "add", str(place / "weights.yaml"))
    with pytest.raises(ToolError, match="published has 20"):
        run(place, "add", str(place / "asked.pkl"), "--as", "published")
    assert not (place / "w/a").exists()


def test_a_file_of_the_users_own_is_pinned_in_place_of_the_published_one(place, capsys):
    (place / "net.pt").write_bytes(b"mine, and shorter")
    with pytest.raises(ToolError, match="published has 20; --mine"):
        run(place, "add", str(place / "net.pt"), "--as", "published")
    assert run(place, "add", str(place / "net.pt"), "--as", "published", "--mine") == 0
    assert (place / "w/a/net.pt").read_bytes() == b"mine, and shorter"
    assert json.loads((place / "w/weights.lock.json").read_text())["published"]["bytes"] == 17
    assert run(place, "check", "published") == 0
    assert "as expected" in capsys.readouterr().out
    (place / "w/a/net.pt").write_bytes(CONTENT)
    assert run(place, "check", "published") == 1


def test_members_of_one_archive_come_together(place):
    assert run(place, "fetch", "one") == 0
    assert (place / "w/one.bin").read_bytes() == b"one"
    assert (place / "w/two.bin").read_bytes() == b"two"
    assert not (place / "w/.archives/both.zip").exists()


def test_an_address_that_gives_no_archive_is_passed_over_and_nothing_of_it_stays(place, caplog):
    manifest = json.loads((place / "weights.yaml").read_text())
    good = manifest["archives"]["both"]["urls"][0]
    (place / "site" / "page").write_text("come back later")
    bad = (place / "site" / "page").as_uri()
    manifest["archives"]["both"]["urls"] = [bad]
    (place / "weights.yaml").write_text(json.dumps(manifest))
    assert run(place, "fetch", "one") == 1
    assert "no readable zip archive" in caplog.text
    assert not (place / "w/.archives/both.zip").exists()
    manifest["archives"]["both"]["urls"] = [bad, good]
    (place / "weights.yaml").write_text(json.dumps(manifest))
    (place / "w/.archives/both.zip").write_text("left by an earlier call")
    assert run(place, "fetch", "one") == 0
    assert (place / "w/one.bin").read_bytes() == b"one"


def test_check_finds_what_changed(place, capsys):
    run(place, "fetch", "unpublished")
    assert run(place, "check") == 0
    assert "as expected" in capsys.readouterr().out
    (place / "w/b/free.pt").write_bytes(b"tampered")
    assert run(place, "check") == 1
    assert "WRONG" in capsys.readouterr().out
    assert run(place, "check", "form") == 1  # asked for by name, so it must be there
    assert "not here" in capsys.readouterr().out


def test_list_and_licences_tell_everything(place, capsys):
    run(place, "fetch", "published")
    capsys.readouterr()
    assert run(place, "list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "by hand" in lines["form"]
    assert "body/x" in lines["form"]
    assert "0 MB" in lines["published"]
    assert run(place, "licences", "body/x") == 0
    assert "MIT" in capsys.readouterr().out


def test_an_unknown_name_is_said(place):
    with pytest.raises(ToolError, match="'nothing'"):
        run(place, "fetch", "nothing")


def test_progress_is_a_line_in_a_log(caplog):
    from tools.zoo.fetch import Progress

    caplog.set_level(logging.INFO)
    progress = Progress("net")
    progress(500_000, 2_000_000)
    progress(2_000_000, 2_000_000)
    assert "net: 2 of 2 MB" in caplog.text
