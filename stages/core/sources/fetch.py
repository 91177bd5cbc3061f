"""Fetch one file: bounded in time and size, retried, known by its content, and never half there.

Not by pooch, which bounds neither time nor size, cannot ask a second mirror, and takes a login page for a wrong file.
"""

import gzip
import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from stages.core.cli import files
from stages.core.cli.errors import UserError

TIMEOUT_S = (10, 30)  # to connect; between two pieces of the answer
FILE_DEADLINE_S = 1800
WAITS_S = (1, 2, 4)  # between tries
LARGEST_FILE = 1 << 30
MAY_PASS = {408, 425, 429, 500, 502, 503, 504}  # statuses
MIRROR = "CIFRA_MIRROR"
BY_HAND = Path("data/originals")


@dataclass(frozen=True)
class RemoteFile:
    """A file as its authors published it; `folder` is where it lies below a mirror or BY_HAND."""

    folder: str
    name: str
    md5: str
    urls: Sequence[str]
    content_md5: str = ""
    """Of what is packed in it, where that is known: then it may be packed otherwise, or not at all."""


class DownloadError(Exception):
    """Why one source did not give the file, and whether it may give it in a moment."""

    def __init__(self, reason: str, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


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
        if "://" in name:
            files.write(BY_HAND / original.folder / original.name, data)
        return data
    raise UserError(
        f"cannot get {original.name}. Tried {'; '.join(refusals)}. "
        f"Put the file into {BY_HAND / original.folder}/ by hand, or name a mirror: {MIRROR}=http://… or a folder"
    )


def _sources(original: RemoteFile) -> Iterator[tuple[str, Callable[[], bytes]]]:
    mirror = os.environ.get(MIRROR, "")
    yield _in(BY_HAND / original.folder, original.name)
    if not mirror or mirror.startswith(("http://", "https://")):
        urls = [f"{mirror.rstrip('/')}/{original.folder}/{original.name}"] if mirror else original.urls
        for url in urls:
            yield url, partial(_with_retries, url)
    else:
        folder = url2pathname(urlsplit(mirror).path) if mirror.startswith("file:") else mirror
        yield _in(Path(folder).expanduser() / original.folder, original.name)


def _in(folder: Path, name: str) -> tuple[str, Callable[[], bytes]]:
    """Packed or not, there or in `raw`, as torchvision keeps its own."""
    names = (name, name.removesuffix(".gz"))
    places = [place / name for place in (folder, folder / "raw") for name in names]
    place = next((place for place in places if place.exists()), places[0])
    return str(place), partial(_read, place)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DownloadError("not there" if isinstance(error, FileNotFoundError) else str(error.strerror)) from None


def _verify(original: RemoteFile, data: bytes) -> None:
    found = _md5(data)
    if found != original.md5 and _md5(unpacked(data)) != original.content_md5:
        raise DownloadError(f"wrong bytes (md5 {found}, {len(data)} bytes; expected md5 {original.md5})")


def unpacked(data: bytes) -> bytes:
    """What is in the gzip file; the bytes themselves where they are none, or a damaged one."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _with_retries(url: str) -> bytes:
    for wait_s in WAITS_S:
        try:
            return _download(url)
        except DownloadError as refusal:
            if not refusal.may_pass:
                raise
        time.sleep(wait_s)
    return _download(url)


def _download(url: str) -> bytes:
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code != 200:
                raise DownloadError(f"HTTP {answer.status_code}", answer.status_code in MAY_PASS)
            if "html" in answer.headers.get("Content-Type", ""):
                raise DownloadError("a web page instead of the file (a login page of the network?)")
            return _body(answer)
    except (requests.RequestException, HTTPError, ValueError) as error:
        is_final = isinstance(error, (ValueError, requests.TooManyRedirects))  # no address, or one in a circle
        raise DownloadError(f"no answer ({type(error).__name__})", may_pass=not is_final) from None


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
        raise DownloadError(f"only {len(data)} of {expected} bytes came", may_pass=True)
    return bytes(data)
