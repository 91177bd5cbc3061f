"""Who may ask: the Host allow-list, API keys, and which pages of other origins."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from serve.http.messages import Problem, Request

OWN_HEADERS = "authorization, content-type, inference-header-content-length, x-api-key, x-request-id"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    return host in LOOPBACK or host.startswith("127.")


@dataclass(frozen=True)
class Guard:
    keys: tuple[str, ...] = ()
    """Any of them opens; none given, none needed."""
    hosts: frozenset[str] | None = LOOPBACK
    """Names by which the server may be called, without port; None for any."""
    origins: frozenset[str] = field(default_factory=frozenset)
    """Origins whose pages may use the answers (CORS), in small letters; "*" for all."""

    def check(self, request: Request, *, public: bool) -> None:
        """Raises Problem: 401 or 403."""
        self._check_host(request)
        self._check_origin(request)
        if self.keys and not public:
            self._check_key(request)

    def cross_origin(self, request: Request) -> Mapping[str, str] | None:
        """Headers that let the page of an allowed origin read the answer."""
        origin = request.header(b"origin")
        if not origin or not self._allows(origin):
            return None
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-headers": OWN_HEADERS,
            "access-control-allow-methods": "GET, POST",
            "access-control-expose-headers": "inference-header-content-length, x-request-id",
            "vary": "origin",
        }

    def _check_host(self, request: Request) -> None:
        """A name that anybody may point at this machine must not pass for its own (DNS rebinding)."""
        name = _without_port(request.headers.get(b"host", b""))
        if self.hosts is not None and name and name not in self.hosts:
            raise Problem(403, f"this server does not answer to the name {name[:80]!r}; see --allowed-host")

    def _check_origin(self, request: Request) -> None:
        """Another site's page must not make a visitor's browser use this server."""
        origin = request.header(b"origin")
        if request.method in READING or not origin or self._allows(origin):
            return
        site = request.header(b"sec-fetch-site")
        same = site == "same-origin" if site else origin.partition("://")[2] == request.header(b"host")
        if not same:
            raise Problem(403, f"pages of {origin[:80]!r} may not use this server; see --cors")

    def _allows(self, origin: str) -> bool:
        return "*" in self.origins or origin.lower() in self.origins

    def _check_key(self, request: Request) -> None:
        scheme, _, token = request.header(b"authorization").partition(" ")
        given = token if scheme.lower() == "bearer" else request.header(b"x-api-key")
        # Every key is compared, so that the time taken tells nothing.
        sent = given.encode("latin-1")  # a header's bytes as they came
        if not sum(hmac.compare_digest(sent, key.encode()) for key in self.keys):
            raise Problem(401, "an API key is needed: Authorization: Bearer KEY", {"www-authenticate": "Bearer"})


@lru_cache(maxsize=64)
def _without_port(host: bytes) -> str:
    name, _, port = host.decode("latin-1").lower().rpartition(":")
    return name if port.isdecimal() else host.decode("latin-1").lower()
