"""Downloads that survive a cut line: resumed where they stopped, checked before they get their name."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Callable, Optional

from workflow.errors import ToolError

logger = logging.getLogger(__name__)

_HUB = "https://huggingface.co"
_AGENT = "strata-zoo/1"
_BLOCK = 1 << 20
_TRIES = 3  # per address; each one goes on where the last one stopped
_WAIT_s = 1.0  # before a second try, doubled for each further one
_TIMEOUT_s = 60.0
_SCHEMES = ("http", "https", "file")

Told = Callable[[int, Optional[int]], None]  # bytes so far, bytes in all where known


class _Refused(Exception):
    """An address gives something else; another one may give the right file."""


class _Cut(Exception):
    """The line was cut; what came so far is kept."""


@dataclass(frozen=True)
class Wanted:
    """What a file must be: its size and SHA-256, as far as they are known."""

    bytes: Optional[int] = None
    sha256: str = ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps what the hub tells about a file before it sends one to its storage."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self.sha256 = _announced(headers) or self.sha256
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _announced(headers: Any) -> str:
    """SHA-256 that the Hugging Face hub publishes of a large file, with every answer; empty where there is none."""
    tag = (headers.get("X-Linked-Etag") or "").strip('"').lower()
    return tag if re.fullmatch("[0-9a-f]{64}", tag) else ""


def resolve(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Address of an entry: `hf:owner/repository/path` is a file of the hub, or of its mirror `$HF_ENDPOINT`."""
    hub = (environ.get("HF_ENDPOINT") or _HUB).rstrip("/")
    if url.startswith("hf:"):
        owner, repository, path = url[3:].split("/", 2)
        return f"{hub}/{owner}/{repository}/resolve/main/{urllib.parse.quote(path)}"
    if url.startswith(f"{_HUB}/"):
        return hub + url[len(_HUB) :]
    return url


def download(urls: Sequence[str], target: Path, wanted: Wanted, told: Told, wait_s: float = _WAIT_s) -> str:
    """Fetch a file; it appears under `target` only when it is whole and what it must be.

    Proxies are taken from the environment (`https_proxy`, `no_proxy`). What was fetched so far stays beside the
    target as `.partial`, and the next call goes on from there.

    Args:
        urls: Addresses, tried in order.
        target: Where the file goes.
        wanted: What it must be.
        told: Called with the progress.
        wait_s: Seconds before a second try.

    Returns:
        SHA-256 of the file.

    Raises:
        ToolError: No address gave the file; says what each one gave.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    faults = []
    handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError(f"{partial}: another process is fetching this file; wait for it") from None
        for url in map(resolve, urls):
            try:
                published = _fetch(url, file, partial, wanted, told, wait_s)
                found = _checked(file, wanted if wanted.sha256 else replace(wanted, sha256=published))
            except (_Refused, _Cut) as fault:
                logger.warning("%s: %s", url, fault)
                faults.append(f"  {url}: {fault}")
                continue
            file.flush()
            os.fsync(file.fileno())
            _note(partial).unlink(missing_ok=True)
            partial.replace(target)
            return found
        if os.fstat(file.fileno()).st_size == 0:
            partial.unlink(missing_ok=True)
            _note(partial).unlink(missing_ok=True)
    kept = f"; {partial} keeps what came, and the next call goes on from there" if partial.exists() else ""
    raise ToolError(f"{target.name} could not be fetched{kept}:\n" + "\n".join(faults))


def _note(partial: Path) -> Path:
    """Where it is written down what a partial file is a part of."""
    return partial.with_name(f"{partial.name}.json")


def _fetch(url: str, file: IO[bytes], partial: Path, wanted: Wanted, told: Told, wait_s: float) -> str:
    """All of a file, in as many requests as it takes; gives the SHA-256 that its address publishes, if it does."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise _Refused(f"is no address of the kinds {', '.join(_SCHEMES)}")
    for attempt in range(_TRIES):
        try:
            return _receive(url, file, partial, wanted, told)
        except _Cut as cut:
            if attempt == _TRIES - 1:
                raise
            logger.warning("%s: %s; trying again", url, cut)
            time.sleep(wait_s * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _receive(url: str, file: IO[bytes], partial: Path, wanted: Wanted, told: Told) -> str:
    """One request: the rest of the file where the server can give a rest of the same file, else all of it.

    Whether it is the same file is known by the server's tag or date of it; without either, only a SHA-256 can tell.
    """
    start = file.seek(0, os.SEEK_END)
    known = _read_note(partial)
    if start and (known.get("url") != url or not (known.get("tag") or wanted.sha256)):
        start = _restart(file)
    if start and wanted.bytes is not None and start == wanted.bytes:
        return ""
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if known.get("tag"):
            request.add_header("If-Range", known["tag"])
    try:
        redirects = _Redirects()
        opener = urllib.request.build_opener(redirects)  # a new one, so that proxies are those of now
        with closing(opener.open(request, timeout=_TIMEOUT_s)) as response:
            if start and getattr(response, "status", 200) != 206:
                start = _restart(file)
            if start and not (response.headers.get("Content-Range") or f"bytes {start}-").startswith(f"bytes {start}-"):
                _restart(file)
                raise _Cut("gave another part than the one asked for; from the start")
            if response.headers.get_content_type() == "text/html":
                raise _Refused("gives a web page in place of the file")
            total = _total(response, start)
            if wanted.bytes is not None and total is not None and total != wanted.bytes:
                raise _Refused(f"offers {total} bytes, expected {wanted.bytes}")
            free = shutil.disk_usage(partial.parent).free
            if total is not None and total - start > free:
                raise ToolError(f"{partial.parent}: {free} bytes are free, {total - start} are needed")
            tag = response.headers.get("ETag") or ""
            tag = response.headers.get("Last-Modified") or "" if tag.startswith("W/") or not tag else tag
            _note(partial).write_text(json.dumps({"url": url, "tag": tag}))
            done = start
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                told(done, total)
            file.flush()
            if total is not None and done != total:
                raise _Cut(f"ended after {done} of {total} bytes")
            return _announced(response.headers) or redirects.sha256
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            _restart(file)
            raise _Cut("the part fetched before is not a part of this file; from the start") from None
        if error.code in (408, 429) or error.code >= 500:
            raise _Cut(f"HTTP {error.code} {error.reason}") from None
        asks = "; it wants a login: see its page" if error.code in (401, 403) else ""
        raise _Refused(f"HTTP {error.code} {error.reason}{asks}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, FileNotFoundError):
            raise _Refused("there is no such file") from None
        raise _Cut(str(error.reason)) from None
    except (http.client.HTTPException, OSError) as error:
        raise _Cut(str(error) or type(error).__name__) from None


def _total(response: IO[bytes], start: int) -> Optional[int]:
    length = response.headers.get("Content-Length")  # type: ignore[attr-defined]  # urllib's response has headers
    return start + int(length) if length is not None else None


def _restart(file: IO[bytes]) -> int:
    file.seek(0)
    file.truncate()
    return 0


def _read_note(partial: Path) -> dict[str, str]:
    try:
        content = json.loads(_note(partial).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _checked(file: IO[bytes], wanted: Wanted) -> str:
    """SHA-256 of what was fetched; a wrong file is thrown away."""
    size = file.seek(0, os.SEEK_END)
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
    found = digest.hexdigest()
    if wanted.bytes is not None and size != wanted.bytes:
        _restart(file)
        raise _Refused(f"gave {size} bytes, expected {wanted.bytes}")
    if wanted.sha256 and found != wanted.sha256:
        _restart(file)
        raise _Refused(f"gave a file with sha256 {found}, expected {wanted.sha256}")
    if size == 0:
        raise _Refused("gave an empty file")
    return found
