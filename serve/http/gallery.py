"""Test images over HTTP, for the page.

GET /samples                           what they are, how they are labelled, what each network takes them for
GET /samples/images?index=3,17&size=28 their pixels: n × C × size × size bytes
"""

from functools import partial
from urllib.parse import parse_qs

from serve.http import samples
from serve.http.messages import BINARY, JSON, Problem, Request, Response
from serve.http.routing import Route
from serve.http.samples import Samples, SamplesError
from serve.inference.limits import BATCH_IMAGES
from serve.inference.repository import Repository

LARGEST = 256  # pixels a side
CACHED = {"cache-control": "no-cache"}


class Gallery:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def routes(self) -> list[Route]:
        read = partial(Route, "samples", "GET")
        return [read("/samples", self._facts), read("/samples/images", self._images)]

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

    def _samples(self) -> Samples:
        folders = dict.fromkeys(entry.path.parent for entry in self._repository.entries.values())
        directories = [*folders, *(folder.absolute().parent / "samples" for folder in folders)]
        try:
            return samples.find(directories)
        except SamplesError as error:
            raise Problem(404, str(error)) from error


def _options(request: Request) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(request.query, max_num_fields=8).items()}
    except ValueError as error:
        raise Problem(400, "the query cannot be read") from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise Problem(400, f"{text[:40]!r} is not a whole number")
    return int(text)
