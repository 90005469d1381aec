import hashlib
import http.server
import os
import threading

import pytest

from tools.zoo.download import Wanted, download, resolve
from workflow.errors import ToolError

DATA = os.urandom(300_000)
SHA = hashlib.sha256(DATA).hexdigest()


class Site(http.server.BaseHTTPRequestHandler):
    """Serves `pages`: path to a function of the handler. Remembers what was asked for."""

    pages: dict = {}
    asked: list = []

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        page = self.pages.get(self.path)
        if page is None:
            self.send_error(404)
        else:
            page(self)

    def log_message(self, *args):
        pass


def whole(data=DATA, tag='"one"', **headers):
    """Gives a file, or the part of it that is asked for."""

    def page(handler):
        part = handler.headers.get("Range")
        if part and handler.headers.get("If-Range") in (None, tag):
            start = int(part[len("bytes=") : -1])
            if start >= len(data):
                handler.send_response(416)
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
            handler.send_response(206)
        else:
            start = 0
            handler.send_response(200)
        for name, value in {"ETag": tag, **headers, "Content-Length": str(len(data) - start)}.items():
            if value:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data[start:])

    return page


def moved(to, **headers):
    """Sends one elsewhere, as the hub does."""

    def page(handler):
        handler.send_response(302)
        for name, value in {"Location": to, **headers, "Content-Length": "0"}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return page


def cut(after, times=1, data=DATA, tag='"one"', **headers):
    """Breaks off the first `times` answers; then gives the rest."""
    left = [times]

    def page(handler):
        if left[0] == 0:
            whole(data, tag, **headers)(handler)
            return
        left[0] -= 1
        start = int((handler.headers.get("Range") or "bytes=0-")[len("bytes=") : -1])
        handler.send_response(206 if start else 200)
        for name, value in {"ETag": tag, **headers, "Content-Length": str(len(data) - start)}.items():
            if value:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data[start : start + after])
        handler.close_connection = True

    return page


@pytest.fixture
def site():
    Site.pages, Site.asked = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


WANTED = Wanted(len(DATA), SHA)


def get(urls, target, wanted=WANTED):
    told = []
    found = download(urls, target, wanted, lambda done, total: told.append((done, total)), wait_s=0.0)
    return found, told


def test_a_file_arrives_whole_and_checked(site, tmp_path):
    Site.pages["/a"] = whole()
    found, told = get([f"{site}/a"], tmp_path / "deep" / "a.bin")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == DATA
    assert found == SHA
    assert told[-1] == (len(DATA), len(DATA))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.bin"]


def test_a_cut_download_goes_on_where_it_stopped(site, tmp_path):
    Site.pages["/a"] = cut(after=100_000, times=2)
    get([f"{site}/a"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert [asked[1] for asked in Site.asked] == [None, "bytes=100000-", "bytes=200000-"]
    assert Site.asked[1][2] == '"one"'


def test_what_came_is_kept_for_the_next_call(site, tmp_path):
    Site.pages["/a"] = cut(after=50_000, times=3)
    with pytest.raises(ToolError, match=r"ended after 150000 of 300000 bytes"):
        get([f"{site}/a"], tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin.partial").read_bytes() == DATA[:150_000]
    get([f"{site}/a"], tmp_path / "a.bin")
    assert Site.asked[-1][1] == "bytes=150000-"
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_file_that_changed_meanwhile_is_not_spliced(site, tmp_path):
    other = os.urandom(300_000)
    Site.pages["/a"] = cut(after=50_000, times=3, data=other, tag='"old"')
    with pytest.raises(ToolError):
        get([f"{site}/a"], tmp_path / "a.bin")
    Site.pages["/a"] = whole(tag='"new"')
    get([f"{site}/a"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_tag_nothing_is_spliced(site, tmp_path, tag):
    """Nothing is published of the file, and the server says nothing that tells one version from another."""
    Site.pages["/a"] = cut(after=50_000, times=3, data=os.urandom(300_000), tag=tag)
    with pytest.raises(ToolError):
        get([f"{site}/a"], tmp_path / "a.bin", Wanted())
    Site.pages["/a"] = whole(tag=tag)
    get([f"{site}/a"], tmp_path / "a.bin", Wanted())
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert Site.asked[-1][1] is None


def test_the_date_of_a_file_serves_as_its_tag(site, tmp_path):
    date = "Wed, 21 Oct 2020 07:28:00 GMT"
    Site.pages["/a"] = cut(after=100_000, tag='W/"weak"', Last_Modified=date)
    get([f"{site}/a"], tmp_path / "a.bin", Wanted())
    assert Site.asked[1][1:] == ("bytes=100000-", date)


def test_with_a_known_sum_a_rest_may_come_without_a_tag(site, tmp_path):
    Site.pages["/a"] = cut(after=100_000, tag="")
    get([f"{site}/a"], tmp_path / "a.bin")
    assert [asked[1] for asked in Site.asked] == [None, "bytes=100000-"]
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_another_part_than_asked_for_is_not_spliced(site, tmp_path):
    answers = iter([cut(after=100_000), whole(Content_Range="bytes 5-299999/300000"), whole()])
    Site.pages["/a"] = lambda handler: next(answers)(handler)
    get([f"{site}/a"], tmp_path / "a.bin", Wanted())
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert [asked[1] for asked in Site.asked] == [None, "bytes=100000-", None]


def test_a_web_page_is_no_weight(site, tmp_path):
    Site.pages["/login"] = whole(b"<html>log in</html>", Content_Type="text/html; charset=utf-8")
    with pytest.raises(ToolError, match="gives a web page in place of the file"):
        get([f"{site}/login"], tmp_path / "a.bin", Wanted())
    assert list(tmp_path.iterdir()) == []
    Site.pages["/a"] = whole(Content_Type="application/octet-stream")
    get([f"{site}/login", f"{site}/a"], tmp_path / "a.bin", Wanted())
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_the_sum_that_the_hub_publishes_is_held_to(site, tmp_path):
    Site.pages["/damaged"] = whole(DATA[::-1])
    Site.pages["/storage"] = whole()
    Site.pages["/hub/damaged"] = moved("/damaged", X_Linked_Etag=f'"{SHA}"')
    Site.pages["/hub/good"] = moved("/storage", X_Linked_Etag=f'"{SHA}"')
    with pytest.raises(ToolError, match=f"expected {SHA}"):
        get([f"{site}/hub/damaged"], tmp_path / "a.bin", Wanted())
    assert list(tmp_path.iterdir()) == []
    assert get([f"{site}/hub/good"], tmp_path / "a.bin", Wanted())[0] == SHA
    Site.pages["/hub/small"] = moved("/storage", X_Linked_Etag='"a-git-hash"')
    assert get([f"{site}/hub/small"], tmp_path / "b.bin", Wanted())[0] == SHA


def test_the_listed_sum_counts_more_than_the_hubs(site, tmp_path):
    Site.pages["/storage"] = whole(DATA[::-1])
    other = hashlib.sha256(DATA[::-1]).hexdigest()
    Site.pages["/hub"] = moved("/storage", X_Linked_Etag=other)
    with pytest.raises(ToolError, match=f"expected {SHA}"):
        get([f"{site}/hub"], tmp_path / "a.bin")


def test_a_partial_of_another_address_is_not_continued(site, tmp_path):
    Site.pages["/a"] = cut(after=50_000, times=9, data=os.urandom(300_000))
    Site.pages["/b"] = whole()
    get([f"{site}/a", f"{site}/b"], tmp_path / "a.bin")
    assert Site.asked[-1] == ("/b", None, None)
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_partial_longer_than_the_file_starts_anew(site, tmp_path):
    Site.pages["/a"] = whole()
    (tmp_path / "a.bin.partial").write_bytes(DATA + b"more")
    (tmp_path / "a.bin.partial.json").write_text(f'{{"url": "{site}/a", "tag": ""}}')
    get([f"{site}/a"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_the_next_mirror_is_taken(site, tmp_path):
    Site.pages["/wrong"] = whole(DATA[::-1])
    Site.pages["/right"] = whole()
    get([f"{site}/absent", f"{site}/wrong", "http://127.0.0.1:1/closed", f"{site}/right"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_wrong_file_is_refused_and_every_address_told(site, tmp_path):
    Site.pages["/wrong"] = whole(DATA[::-1])
    Site.pages["/short"] = whole(DATA[:10])
    with pytest.raises(ToolError) as error:
        get([f"{site}/wrong", f"{site}/short", f"{site}/absent"], tmp_path / "a.bin")
    told = str(error.value)
    assert f"expected {SHA}" in told
    assert "offers 10 bytes, expected 300000" in told
    assert "HTTP 404" in told
    assert list(tmp_path.iterdir()) == []


def test_without_published_sums_any_whole_file_is_taken(site, tmp_path):
    Site.pages["/a"] = whole()
    assert get([f"{site}/a"], tmp_path / "a.bin", Wanted())[0] == SHA


def test_a_file_address_works(tmp_path):
    (tmp_path / "source.bin").write_bytes(DATA)
    get([(tmp_path / "source.bin").as_uri()], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_other_schemes_are_refused(tmp_path):
    with pytest.raises(ToolError, match="is no address"):
        get(["ftp://example.org/a"], tmp_path / "a.bin")


def test_a_proxy_of_the_environment_is_used(site, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", site)
    monkeypatch.delenv("no_proxy", raising=False)
    Site.pages["http://weights.invalid/a"] = whole()
    get(["http://weights.invalid/a"], tmp_path / "a.bin")
    assert Site.asked[0][0] == "http://weights.invalid/a"


def test_the_hub_may_be_a_mirror(site, tmp_path, monkeypatch):
    assert resolve("hf:me/model/x y.bin", {}) == "https://huggingface.co/me/model/resolve/main/x%20y.bin"
    assert resolve("https://huggingface.co/a/b", {"HF_ENDPOINT": "https://m.org/"}) == "https://m.org/a/b"
    Site.pages["/me/model/resolve/main/dir/a.bin"] = whole()
    monkeypatch.setenv("HF_ENDPOINT", site)
    get(["hf:me/model/dir/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA
