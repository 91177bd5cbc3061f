"""Paths and methods to what answers them."""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import NamedTuple

from serve.http.messages import Problem, Response


class Route(NamedTuple):
    name: str
    """As in the metrics."""
    method: str
    path: str
    """With {} for each part that is an argument."""
    handler: Callable[..., Response | Awaitable[Response]]
    """Takes the request and the arguments."""
    body: int = 0
    """The most bytes of body it takes."""
    public: bool = False
    """Needs no API key."""
    room: Callable[..., None] | None = None
    """Raises Problem where there is no room for another such request; asked before the body is read."""


class Match(NamedTuple):
    methods: dict[str, Route]
    arguments: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return ", ".join([*self.methods, *(["HEAD"] if "GET" in self.methods else []), "OPTIONS"])

    def route(self, method: str) -> Route:
        """Raises Problem 405."""
        route = self.methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise Problem(405, f"{method} is not for this path; use {self.allowed}", {"allow": self.allowed})
        return route


class Router:
    def __init__(self, routes: list[Route]) -> None:
        self._patterns: dict[re.Pattern[str], dict[str, Route]] = {}
        for route in routes:
            pattern = re.compile(re.escape(route.path).replace(r"\{\}", "([^/]+)"))
            self._patterns.setdefault(pattern, {})[route.method] = route
        self.match = lru_cache(maxsize=512)(self._match)

    def _match(self, path: str) -> Match | None:
        for pattern, methods in self._patterns.items():
            if found := pattern.fullmatch(path):
                return Match(methods, found.groups())
        return None
