"""Fetch one file: bounded in time and size, retried, checked, and never half there."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError

from stages.core.cli import files
from stages.core.cli.errors import UserError

TIMEOUT_S = (10, 30)  # to connect; between two pieces of the answer
FILE_DEADLINE_S = 1800
TRIES = 4
LONGEST_WAIT_S = 30
LARGEST_FILE = 1 << 30
RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}
MIRROR = "CIFRA_MIRROR"
BY_HAND = Path("data/originals")


@dataclass(frozen=True)
class RemoteFile:
    """A file as its authors published it; `folder` is where it lies below a mirror or BY_HAND."""

    folder: str
    name: str
    md5: str
    urls: Sequence[str]

    @property
    def kept(self) -> Path:
        return BY_HAND / self.folder / self.name


class DownloadError(Exception):
    """Why one source did not give the file; `wait_s` when it may give it later."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fetch(original: RemoteFile) -> bytes:
    """The file's bytes, from where they were put by hand or kept before, else from the first mirror that works."""
    refusals = []
    for name, read in _sources(original):
        try:
            data = read()
            _verify(original, data)
        except DownloadError as refusal:
            refusals.append(f"{name}: {refusal}")
            continue
        if not original.kept.exists() or original.kept.read_bytes() != data:
            files.write(original.kept, data)
        return data
    raise UserError(
        f"cannot get {original.name}. Tried {'; '.join(refusals)}. "
        f"Put the file into {original.kept.parent}/ by hand, or name a mirror: {MIRROR}=http://… or a folder"
    )


def _sources(original: RemoteFile) -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield str(original.kept), lambda: _read(original.kept)
    mirror = os.environ.get(MIRROR)
    if mirror and not mirror.startswith(("http://", "https://")):
        place = Path(mirror).expanduser() / original.folder / original.name
        yield str(place), lambda: _read(place)
        return
    urls = [f"{mirror.rstrip('/')}/{original.folder}/{original.name}"] if mirror else original.urls
    for url in urls:
        yield url, lambda url=url: _with_retries(url)  # type: ignore[misc]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DownloadError("not there") from None
    except OSError as error:
        raise DownloadError(error.strerror or "unreadable") from None


def _verify(original: RemoteFile, data: bytes) -> None:
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != original.md5:
        raise DownloadError(f"wrong bytes (md5 {found}, {len(data)} bytes; expected md5 {original.md5})")


def _with_retries(url: str) -> bytes:
    for attempt in range(1, TRIES + 1):
        try:
            return _download(url)
        except DownloadError as refusal:
            if refusal.wait_s is None or attempt == TRIES:
                raise
            time.sleep(min(max(refusal.wait_s, 0.5 * 2**attempt), LONGEST_WAIT_S))
    raise AssertionError("unreachable")


def _download(url: str) -> bytes:
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_S) as answer:
            _check(answer)
            return _body(answer)
    except requests.exceptions.TooManyRedirects:
        raise DownloadError("redirected in a circle") from None
    except (requests.exceptions.Timeout, ReadTimeoutError):
        raise DownloadError(f"nothing came for {TIMEOUT_S[1]} s", wait_s=0) from None
    except requests.exceptions.SSLError:
        raise DownloadError("its certificate is not valid") from None
    except (requests.exceptions.RequestException, HTTPError) as error:
        raise DownloadError(f"no connection ({type(error).__name__})", wait_s=0) from None
    except ValueError as error:
        raise DownloadError(f"not an address, or sends us to one that is not ({error})") from None


def _check(answer: requests.Response) -> None:
    if answer.status_code in RETRY_STATUS:
        after = answer.headers.get("Retry-After", "")
        raise DownloadError(f"HTTP {answer.status_code}", wait_s=float(after) if after.isdecimal() else 0)
    if answer.status_code != 200:
        raise DownloadError(f"HTTP {answer.status_code}")
    if "html" in answer.headers.get("Content-Type", ""):
        raise DownloadError("a web page instead of the file (a login page of the network?)")


def _body(answer: requests.Response) -> bytes:
    """The bytes as they came: requests would unpack what a server calls gzip, and an MNIST file is that already."""
    expected = answer.raw.length_remaining or 0
    answer.raw.enforce_content_length = False  # we say ourselves how much is missing
    deadline = time.monotonic() + FILE_DEADLINE_S
    data = bytearray()
    name = answer.url.rpartition("/")[2]
    with tqdm(total=expected or None, desc=name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while piece := answer.raw.read1(1 << 16, decode_content=False):  # what is there: a trickle shall not hold us
            data += piece
            bar.update(len(piece))
            if len(data) > LARGEST_FILE or time.monotonic() > deadline:
                raise DownloadError(f"too large or too slow: {len(data)} bytes in {FILE_DEADLINE_S} s at most")
    if len(data) < expected:
        raise DownloadError(f"only {len(data)} of {expected} bytes came", wait_s=0)
    return bytes(data)
