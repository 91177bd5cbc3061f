"""Test images over HTTP, for the page.

GET /samples                               what they are, how they are labelled, what each network takes them for
GET /samples/images?index=3,17&size=28     their pixels: n × C × size × size bytes
GET /samples/strongest?model=M&layer=conv1 for each unit the images that excite it most, strongest first, among
                                           those `searched` so far: ask again until that is all there are
"""

from functools import partial
from typing import Any
from urllib.parse import parse_qs

from serve.http import samples
from serve.http.jobs import Jobs
from serve.http.messages import BINARY, JSON, Problem, Request, Response, to_json
from serve.http.routing import Route
from serve.http.samples import Samples, SamplesError
from serve.inference.excitation import Search, search_of
from serve.inference.limits import BATCH_IMAGES
from serve.inference.repository import Repository

WAITING = 4  # rankings at once
SEARCH_SECONDS = 0.4  # of looking through images for one answer
LARGEST = 256  # pixels a side
CACHED = {"cache-control": "no-cache"}


class Gallery:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._rankings = Jobs("rankings", 1, WAITING)  # a thread of their own, never in the way of an answer
        self.close = self._rankings.close

    def routes(self) -> list[Route]:
        read = partial(Route, "samples", "GET")
        return [
            read("/samples", self._facts),
            read("/samples/images", self._images),
            read("/samples/strongest", self._strongest),
        ]

    def _facts(self, request: Request) -> Response:
        return Response(self._samples().facts, JSON, headers=CACHED)

    def _images(self, request: Request) -> Response:
        options = _options(request)
        indices = [_number(part) for part in options.get("index", "").split(",")]
        size = _number(options.get("size", "28"))
        if len(indices) > BATCH_IMAGES or not 1 <= size <= LARGEST:
            raise Problem(400, f"at most {BATCH_IMAGES} images of 1 to {LARGEST} pixels a side")
        try:
            pixels = self._samples().at(indices, size)
        except SamplesError as error:
            raise Problem(404, str(error)) from error
        return Response(pixels.tobytes(), BINARY, headers=CACHED)

    async def _strongest(self, request: Request) -> Response:
        options = _options(request)
        model = self._repository.get(options.get("model", "champion"))
        held = self._samples()

        def work() -> Response:
            try:
                found = _found(search_of(model, held), options.get("layer", ""))
            except Exception as error:  # a network that takes no such images, a layer that is not there
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise Problem(400, reason[:300]) from error
            return to_json({"model": model.name, "version": model.version} | found)

        return await self._rankings.run(work)

    def _samples(self) -> Samples:
        folders = dict.fromkeys(entry.path.parent for entry in self._repository.entries.values())
        directories = [*folders, *(folder.absolute().parent / "samples" for folder in folders)]
        try:
            return samples.find(directories)
        except SamplesError as error:
            raise Problem(404, str(error)) from error


def _found(search: Search, layer: str) -> dict[str, Any]:
    """Raises SamplesError."""
    search.ranking(layer)  # there must be such a layer
    search.go_on(SEARCH_SECONDS)
    return {"searched": search.searched, "of": search.of, "units": search.ranking(layer).as_json()}


def _options(request: Request) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(request.query, max_num_fields=8).items()}
    except ValueError as error:
        raise Problem(400, "the query cannot be read") from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise Problem(400, f"{text[:40]!r} is not a whole number")
    return int(text)
