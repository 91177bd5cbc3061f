"""What the page is made of: small, all its own, strictly confined, at home behind any prefix."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.page.reader import Reader
from tests.serve.networks import save, save_samples
from tests.serve.running import Client, running

LIMIT = 300_000  # bytes


def test_the_first_load_is_small_and_from_one_host(browser: Any, site: str) -> None:
    reader = Reader(browser, site)
    sizes: dict[str, int] = {}
    reader.page.on("response", lambda response: sizes.setdefault(response.url, len(response.body())))
    reader.goto()
    files = {address: size for address, size in sizes.items() if "/v2" not in address and "/networks" not in address}
    assert len(files) > 10
    assert sum(files.values()) < LIMIT
    assert all(address.startswith(site) for address in sizes)
    reader.close()


def test_the_policy_is_strict(site: str) -> None:
    client = Client(urlsplit(site).port or 0)
    policy = client("GET", "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert b"<style" not in client("GET", "/").body
    assert b" style=" not in client("GET", "/").body


def test_nothing_breaks_the_policy(browser: Any, site: str) -> None:
    reader = Reader(browser, site)
    broken: list[str] = []
    reader.page.on("console", lambda message: broken.append(message.text) if message.type == "error" else None)
    reader.goto()
    reader.draw()
    reader.press_unit("conv2")
    reader.page.click("#panel-close")
    reader.page.click("#glossary-open")
    assert broken == []
    reader.close()


@pytest.fixture
def prefixed(site: str) -> Iterator[str]:
    """The same server behind a proxy at /lab/cifra/."""
    port = urlsplit(site).port or 0

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/lab/cifra/"):
                return self.send_error(404)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path.removeprefix("/lab/cifra"), body, headers)
            response = connection.getresponse()
            content = response.read()
            self.send_response(response.status)
            for name, value in response.headers.items():
                if name.lower() not in ("connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_port}/lab/cifra/"
    proxy.shutdown()
    thread.join()
    proxy.server_close()


def test_it_works_behind_a_prefix(open_page: Any, prefixed: str) -> None:
    reader = open_page(at=prefixed)
    reader.draw()
    assert reader.verdict() in list("0123456789")
    reader.press_unit("conv2")
    reader.page.wait_for_selector("#panel-filter .thumb")
    reader.page.goto("about:blank")


def test_pixels_of_test_images(site: str, models: Path) -> None:
    client = Client(urlsplit(site).port or 0)
    images = np.load(models / "samples.npy")
    reply = client("GET", "/samples/images?index=3,17&size=28")
    assert np.array_equal(np.frombuffer(reply.body, np.uint8).reshape(2, 1, 28, 28), images[[3, 17]])
    assert len(client("GET", "/samples/images?index=3&size=32").body) == 32 * 32


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("images?index=30", 404),
        ("images?index=-1", 400),
        ("images?index=x", 400),
        ("images", 400),
        ("images?index=1&size=0", 400),
        ("images?index=1&size=9999", 400),
        ("images?index=" + ",".join(["1"] * 65), 400),
    ],
)
def test_bad_questions_about_test_images(site: str, query: str, status: int) -> None:
    reply = Client(urlsplit(site).port or 0)("GET", f"/samples/{query}")
    assert reply.status == status
    assert reply.json["error"]


def test_a_pack_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "mlp")
    save_samples(tmp_path)
    np.save(tmp_path / "samples.npy", np.zeros((3, 1, 28, 28), np.uint8))
    with running(tmp_path) as found:
        assert "do not fit together" in found.client("GET", "/samples").json["error"]


def test_a_network_is_sent_once_a_version(site: str) -> None:
    client = Client(urlsplit(site).port or 0)
    version = client("GET", "/v2/models/mlp").json["versions"][0]
    reply = client("GET", f"/networks/mlp/{version}")
    assert reply.body.startswith(b"CIF1")
    assert "immutable" in reply.headers["cache-control"]
    again = client("GET", f"/networks/mlp/{version}", if_none_match=reply.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert client("GET", "/networks/mlp/000000000000").status == 404
