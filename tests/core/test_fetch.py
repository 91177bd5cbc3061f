"""The downloader against a server on loopback that does everything wrong."""

import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stages.core.cli.errors import UserError
from stages.core.sources import fetch as fetching
from stages.core.sources.fetch import RemoteFile, fetch
from tests.workspace import Workspace

DATA = gzip.compress(bytes(range(256)) * 40, mtime=0)
NAME = "train-images.gz"

Manner = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers each request in the next of its manners; in the last one for ever."""

    def __init__(self) -> None:
        self.manners: list[Manner] = []
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                manner = server.manners.pop(0) if len(server.manners) > 1 else server.manners[0]
                try:
                    manner(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def answer(status: int = 200, body: bytes = DATA, length: str | None = None, times: int = 1, **headers: str) -> Manner:
    """That answer; `length` is what it claims, `times` how often it says so."""

    def manner(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for _ in range(times):
            request.send_header("Content-Length", str(len(body)) if length is None else length)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return manner


def stall(before: bytes = b"") -> Manner:
    def manner(request: BaseHTTPRequestHandler) -> None:
        if before:
            request.send_response(200)
            request.send_header("Content-Length", str(len(DATA)))
            request.end_headers()
            request.wfile.write(before)
        threading.Event().wait(0.5)

    return manner


def trickle(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(40):
        request.wfile.write(b"x")
        threading.Event().wait(0.02)


def chunked(request: BaseHTTPRequestHandler) -> None:
    request.protocol_version = "HTTP/1.1"
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    for start in range(0, len(DATA), 100):
        piece = DATA[start : start + 100]
        request.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    request.wfile.write(b"0\r\n\r\n")


def garbage(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"\0\1\2 not HTTP\r\n\r\n")


OK = answer()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, noted instead of kept."""
    kept: list[float] = []
    monkeypatch.setattr("stages.core.sources.fetch.time.sleep", kept.append)
    return kept


@pytest.fixture
def server(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Server]:
    stalls = "stall" in request.node.name
    monkeypatch.setattr(fetching, "TIMEOUT_S", (5, 0.2 if stalls else 5))
    running = Server()
    yield running
    running.stop()


def original(*urls: str, data: bytes = DATA) -> RemoteFile:
    return RemoteFile("MNIST", NAME, hashlib.md5(data).hexdigest(), urls)


def refusal(wanted: RemoteFile) -> str:
    with pytest.raises(UserError) as caught:
        fetch(wanted)
    text = str(caught.value)
    assert "\n" not in text
    assert f"Put the file into {Path('data/originals/MNIST')}/ by hand" in text
    assert "CIFRA_MIRROR" in text
    assert NAME in text
    return text


def left() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file() and path.name != "params.yaml")


def test_a_file_is_fetched_and_kept(server: Server) -> None:
    server.manners = [OK]
    assert fetch(original(f"{server.url}/{NAME}")) == DATA
    assert left() == [str(Path("data/originals/MNIST") / NAME)]
    assert Path("data/originals/MNIST", NAME).read_bytes() == DATA


def test_a_kept_file_needs_no_network(server: Server) -> None:
    server.manners = [OK]
    wanted = original(f"{server.url}/{NAME}")
    fetch(wanted)
    assert fetch(wanted) == DATA
    assert len(server.asked) == 1


@pytest.mark.parametrize("kept", [b"", DATA[:-1], b"x" + DATA[1:]], ids=["empty", "truncated", "tampered"])
def test_a_damaged_kept_file_is_found_and_fetched_again(server: Server, kept: bytes) -> None:
    server.manners = [OK]
    path = put(PLACES[0], kept, NAME)
    assert fetch(original(f"{server.url}/{NAME}")) == DATA
    assert path.read_bytes() == DATA


CONTENT = gzip.decompress(DATA)
KNOWN = RemoteFile("MNIST", NAME, hashlib.md5(DATA).hexdigest(), (), hashlib.md5(CONTENT).hexdigest())
PLACES = [Path("data/originals/MNIST"), Path("data/originals/MNIST/raw"), Path("elsewhere/MNIST/raw")]


def put(folder: Path, data: bytes, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize(
    ("data", "name"),
    [(DATA, NAME), (gzip.compress(CONTENT, 1, mtime=9), NAME), (CONTENT, NAME.removesuffix(".gz")), (CONTENT, NAME)],
    ids=["as published", "packed otherwise", "unpacked", "unpacked under the old name"],
)
@pytest.mark.parametrize("folder", PLACES, ids=str)
@pytest.mark.parametrize("mirror", ["{}", "file://{}"])
def test_the_content_decides_and_not_how_it_is_packed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, data: bytes, name: str, folder: Path, mirror: str
) -> None:
    put(folder, data, name)
    monkeypatch.setenv("CIFRA_MIRROR", mirror.format(Path("elsewhere").absolute()))
    assert fetching.unpacked(fetch(KNOWN)) == CONTENT


@pytest.mark.parametrize("packed", [True, False])
def test_any_flipped_bit_of_the_content_is_found(workspace: Workspace, packed: bool) -> None:
    kept = put(PLACES[0], b"", NAME)
    for bit in range(0, 8 * len(CONTENT), 977):
        data = bytearray(CONTENT)
        data[bit // 8] ^= 1 << bit % 8
        kept.write_bytes(gzip.compress(data) if packed else data)
        assert f"{kept}: wrong bytes" in refusal(KNOWN)


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        (answer(503), "HTTP 503"),
        (answer(429), "HTTP 429"),
        (answer(500), "HTTP 500"),
        (stall(), "no answer (ReadTimeout)"),
        (stall(DATA[:5]), "no answer (ReadTimeoutError)"),
        (answer(body=DATA[:-1], length=str(len(DATA))), f"only {len(DATA) - 1} of {len(DATA)} bytes came"),
        (garbage, "no answer (ConnectionError)"),
    ],
    ids=["503", "429", "500", "stall", "stall in the body", "short body", "garbage"],
)
class TestWhatMayPass:
    """Faults that may be over in a moment are tried again, a bounded number of times."""

    def test_then_it_is_fetched(self, server: Server, waits: list[float], manner: Manner, said: str) -> None:
        server.manners = [manner, manner, OK]
        assert fetch(original(f"{server.url}/{NAME}")) == DATA
        assert waits == [1, 2]

    def test_or_it_is_given_up(self, server: Server, waits: list[float], manner: Manner, said: str) -> None:
        server.manners = [manner]
        url = f"{server.url}/{NAME}"
        assert f"{url}: {said}" in refusal(original(url))
        assert len(server.asked) == 4
        assert waits == [1, 2, 4]
        assert left() == []


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        (answer(404), "HTTP 404"),
        (answer(403), "HTTP 403"),
        (answer(body=DATA + b"x"), "wrong bytes"),
        (answer(body=b"x" * len(DATA)), "wrong bytes"),
        (answer(body=b""), "wrong bytes"),
        (answer(body=b"<html>Log in", Content_Type="text/html; charset=utf-8"), "a web page instead of the file"),
        (answer(302, b"", Location="/around"), "no answer (TooManyRedirects)"),
        (answer(302, b"", Location="http://[nowhere"), "no answer (ValueError)"),
        (answer(302, b"", Location="gopher://127.0.0.1/"), "no answer (InvalidSchema)"),
    ],
    ids=["404", "403", "longer", "wrong", "empty", "HTML", "redirect loop", "redirect nowhere", "redirect elsewhere"],
)
class TestWhatDoesNotPass:
    def test_the_next_mirror_is_asked(self, server: Server, waits: list[float], manner: Manner, said: str) -> None:
        good = Server()
        server.manners, good.manners = [manner], [OK]
        assert fetch(original(f"{server.url}/{NAME}", f"{good.url}/{NAME}")) == DATA
        good.stop()

    def test_nothing_is_published(self, server: Server, waits: list[float], manner: Manner, said: str) -> None:
        server.manners = [manner]
        assert said in refusal(original(f"{server.url}/{NAME}"))
        assert left() == []


@pytest.mark.parametrize(
    "manner",
    [
        answer(length="many"),
        answer(length=str(len(DATA)), times=2),
        answer(Content_Encoding="gzip"),
        chunked,
    ],
    ids=["length not a number", "length twice", "called gzip", "chunked"],
)
def test_odd_but_right_answers_are_taken(server: Server, manner: Manner) -> None:
    server.manners = [manner]
    assert fetch(original(f"{server.url}/{NAME}")) == DATA


def test_a_redirect_is_followed(server: Server) -> None:
    server.manners = [answer(302, b"", Location="/elsewhere"), OK]
    assert fetch(original(f"{server.url}/{NAME}")) == DATA
    assert server.asked == [f"/{NAME}", "/elsewhere"]


def test_a_refused_connection_leads_to_the_next_mirror(server: Server, waits: list[float]) -> None:
    gone = Server()
    gone.stop()
    server.manners = [OK]
    assert fetch(original(f"{gone.url}/{NAME}", f"{server.url}/{NAME}")) == DATA


def test_the_last_error_names_all_that_was_tried(server: Server, waits: list[float]) -> None:
    gone = Server()
    gone.stop()
    server.manners = [answer(404)]
    text = refusal(original(f"{gone.url}/{NAME}", f"{server.url}/{NAME}"))
    assert f"{Path('data/originals/MNIST') / NAME}: not there" in text
    assert f"{gone.url}/{NAME}: no answer (ConnectionError)" in text
    assert f"{server.url}/{NAME}: HTTP 404" in text


def test_a_trickle_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FILE_DEADLINE_S", 0.2)
    server.manners = [trickle]
    started = time.monotonic()
    assert "too large or too slow" in refusal(original(f"{server.url}/{NAME}"))
    assert time.monotonic() - started < 0.7


def test_a_flood_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LARGEST_FILE", 100)
    server.manners = [OK]
    assert "too large or too slow" in refusal(original(f"{server.url}/{NAME}"))


def test_a_mirror_of_ones_own_replaces_the_others(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.manners = [OK]
    monkeypatch.setenv("CIFRA_MIRROR", f"{server.url}/data/")
    assert fetch(original("http://127.0.0.1:9/never-asked")) == DATA
    assert server.asked == [f"/data/MNIST/{NAME}"]


def test_a_folder_serves_as_mirror(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path("mis imágenes/MNIST")
    place.mkdir(parents=True)
    (place / NAME).write_bytes(DATA)
    monkeypatch.setenv("CIFRA_MIRROR", str(place.parent))
    assert fetch(original("http://127.0.0.1:9/never-asked")) == DATA


@pytest.mark.parametrize(("held", "said"), [(None, "not there"), (b"x", "wrong bytes")])
def test_a_folder_without_the_file_is_said_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, held: bytes | None, said: str
) -> None:
    place = Path("mirror/MNIST")
    place.mkdir(parents=True)
    if held:
        (place / NAME).write_bytes(held)
    monkeypatch.setenv("CIFRA_MIRROR", "mirror")
    text = refusal(original("http://127.0.0.1:9/never-asked"))
    assert f"{place / NAME}: {said}" in text
    assert "never-asked" not in text


def test_a_mirror_that_is_no_address_is_said_so(
    workspace: Workspace, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFRA_MIRROR", "http://[nowhere")
    assert "http://[nowhere" in refusal(original())
