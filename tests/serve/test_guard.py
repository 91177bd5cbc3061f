from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from serve import __main__ as cli
from serve.http.guard import Guard
from tests.serve.running import Client, Running, running, wait_for


@pytest.fixture(scope="module")
def guarded_server(models_dir: Path) -> Iterator[Running]:
    guard = Guard(keys=("first-key", "second-key"), hosts=None, origins=frozenset({"https://good.example"}))
    with running(models_dir, guard=guard) as found:
        yield found


@pytest.fixture
def guarded(guarded_server: Running) -> Client:
    return guarded_server.client


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])
def test_its_own_names_are_answered(host: str, client: Client) -> None:
    assert client("GET", "/v2", host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil"])
@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/nope", "/metrics"])
def test_other_names_are_not(host: str, path: str, client: Client) -> None:
    assert client("GET", path, host=host).status == 403


def test_keys_are_asked_for(guarded: Client) -> None:
    reply = guarded("GET", "/v2")
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded("GET", "/v2", authorization="Bearer wrong").status == 401
    assert guarded("GET", "/v2", authorization="Basic first-key").status == 401
    assert guarded("GET", "/nope").status == 401


@pytest.mark.parametrize("key", ["first-key", "second-key"])
def test_any_key_opens(key: str, guarded: Client) -> None:
    assert guarded("GET", "/v2", authorization=f"Bearer {key}").status == 200
    assert guarded("GET", "/v2", x_api_key=key).status == 200


OPEN = [
    "/",
    "/index.html",
    "/main.js",
    "/docs",
    "/docs/docs.js",
    "/openapi.json",
    "/v2/health/live",
    "/v2/health/ready",
]


@pytest.mark.parametrize("path", OPEN)
def test_the_page_the_documentation_and_health_need_no_key(path: str, guarded: Client) -> None:
    assert guarded("GET", path).status == 200


def test_everything_else_needs_a_key(guarded_server: Running) -> None:
    """Whatever is added to the server, too."""
    for route in guarded_server.app.routes:
        if route.path not in OPEN:
            reply = guarded_server.client(route.method, route.path.replace("{}", "mlp"), b"" if route.body else None)
            assert (route.path, reply.status, reply.headers["www-authenticate"]) == (route.path, 401, "Bearer")
            assert "API key" in reply.json["error"]


def test_the_documentation_says_what_needs_a_key(server: Running) -> None:
    described = orjson.loads(server.client("GET", "/openapi.json").body)["paths"]
    assert {path for path, methods in described.items() if methods.get("get", {}).get("security") == []} == {
        "/openapi.json",
        "/v2/health/live",
        "/v2/health/ready",
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"}, 200),
        ({"origin": "https://proxy.example", "sec_fetch_site": "same-origin"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://evil.example", "sec_fetch_site": "cross-site"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_pages_of_other_origins_cannot_post(headers: dict[str, str], status: int, client: Client) -> None:
    assert client("POST", "/v2/repository/index", b"", **headers).status == status


def test_an_allowed_origin_may_read_the_answer(guarded: Client, client: Client) -> None:
    headers = {"origin": "https://good.example", "authorization": "Bearer first-key"}
    reply = guarded("POST", "/v2/repository/index", b"", **headers)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://good.example")
    preflight = guarded("OPTIONS", "/predict", origin="https://good.example")
    assert preflight.status == 204
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in client("GET", "/v2", origin="https://good.example").headers


def test_documentation_comes_from_here_alone(client: Client) -> None:
    for path, kind in [
        ("/docs", "text/html"),
        ("/docs/docs.js", "text/javascript"),
        ("/openapi.json", "application/json"),
    ]:
        reply = client("GET", path)
        assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, kind)
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert b"://" not in client("GET", "/docs").body + client("GET", "/docs/docs.js").body


def test_the_documentation_names_every_path(server: Running) -> None:
    described = orjson.loads(server.client("GET", "/openapi.json").body)["paths"]
    served = {(route.path, route.method.lower()) for route in server.app.routes}
    for path, methods in described.items():
        pattern = path.replace("{model}", "{}").replace("{version}", "{}")
        for method in methods:
            assert (pattern, method) in served or path == "/openapi.json"
    plain = {path.replace("{model}", "{}").replace("{version}", "{}") for path in described}
    assert {path for path, _ in served} <= plain


def test_metrics_count_exactly(models_dir: Path) -> None:
    with running(models_dir) as found:
        for _ in range(3):
            found.client("GET", "/v2/models/mlp")
        found.client("GET", "/v2/models/nope")
        found.client("GET", "/made/up/by/clients")
        text = found.client("GET", "/metrics").body.decode()
        assert 'cifra_requests_total{model="mlp",route="metadata",status="200"} 3.0' in text
        assert 'cifra_requests_total{model="",route="metadata",status="404"} 1.0' in text
        assert 'cifra_requests_total{model="",route="none",status="404"} 1.0' in text
        assert 'cifra_request_seconds_count{route="metadata"} 4.0' in text
        assert "made" not in text
        assert 'cifra_model{model="mlp",version="' in text
        assert "cifra_images_waiting 0.0" in text
        assert "process_resident_memory_bytes" in text


def test_log_lines_are_json_whatever_the_path(server: Running) -> None:
    server.client.raw(
        b'GET /"\\%0a{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-ID: odd-path\r\n\r\n'
    )
    wait_for(lambda: b"odd-path" in server.log.getvalue())
    (line,) = [line for line in server.log.getvalue().splitlines() if b"odd-path" in line]
    assert orjson.loads(line)["path"] == '/"\\\n{}'


def test_a_key_beyond_ascii_opens(models_dir: Path) -> None:
    with running(models_dir, guard=Guard(keys=("contraseña",))) as found:
        sent = "contraseña".encode().decode("latin-1")
        assert found.client("GET", "/v2", x_api_key=sent).status == 200
        assert found.client("GET", "/v2", x_api_key="contrasena").status == 401


def guard_of(*arguments: str) -> Guard:
    return cli._guard(cli._parser().parse_args(list(arguments)))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "   \n#\n"])
def test_a_file_without_a_key_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ValueError, match="holds no key"):
        guard_of("--api-key-file", str(tmp_path / "keys"))


def test_a_comment_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of the class\nseñal\n\n")
    assert guard_of("--api-key-file", str(tmp_path / "keys")).keys == ("señal",)


@pytest.mark.parametrize("given", ["https://Good.example", "https://good.example/", "*"])
def test_an_origin_works_however_it_is_written(models_dir: Path, given: str) -> None:
    with running(models_dir, guard=guard_of("--cors", given)) as found:
        reply = found.client("GET", "/v2", origin="https://good.example")
        assert reply.headers["access-control-allow-origin"] == "https://good.example"
        assert found.client("POST", "/predict", b"", origin="https://good.example").status == 415


@pytest.mark.parametrize("given", ["good.example", "https://good.example/page", "ftp://good.example", "null", ""])
def test_what_is_no_origin_is_refused_at_the_start(given: str) -> None:
    with pytest.raises(ValueError, match="an origin is"):
        guard_of("--cors", given)


def test_a_loopback_address_is_a_name_of_its_own() -> None:
    assert "127.0.0.2" in (guard_of("--host", "127.0.0.2").hosts or ())
