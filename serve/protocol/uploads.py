"""Bodies of /predict and /explain into images as a network takes them."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import numpy as np

from serve.http.messages import Problem
from serve.inference.limits import BATCH_IMAGES, UPLOADS
from serve.inference.model import Images, Model
from serve.pictures.prepare import PrepareError, TooLargeError, prepare_for
from serve.protocol.oip import json_object

PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # how PNG and JPEG begin
ACCEPTED = "a PNG or JPEG picture, multipart/form-data with pictures, application/json or application/octet-stream"


class Upload(NamedTuple):
    """What a client sent: items are pictures (bytes) or pixels (lists), options what else it said."""

    items: list[tuple[str, bytes | list[Any]]]
    """Names, where they have one, and contents."""
    options: dict[str, Any]


def read(body: bytes, content_type: str, query: str) -> Upload:
    """Raises Problem: 400, 413 or 415."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    options = _query(query)
    if body.startswith(PICTURES):
        return Upload([("", body)], options)
    if kind == "multipart/form-data":
        upload = _multipart(body, parameters)
    elif kind == "application/json":
        upload = _json(body)
    elif kind == "application/octet-stream":
        upload = Upload([("", body)], {})
    else:
        raise Problem(415, f"send {ACCEPTED}")
    if len(upload.items) > UPLOADS:
        raise Problem(413, f"a request takes at most {UPLOADS} pictures")
    return Upload(upload.items, options | upload.options)


def images_of(upload: Upload, model: Model) -> Images:
    """[N, C, H, W] as the model takes them. Raises Problem."""
    if not upload.items:
        raise Problem(400, f"no image; send {ACCEPTED}")
    found = []
    for name, content in upload.items:
        try:
            found.append(_pixels(content, model) if isinstance(content, list) else _prepared(content, model))
        except PrepareError as error:
            status = 413 if isinstance(error, TooLargeError) else 400
            raise Problem(status, f"{name[:80]}: {error}" if name else str(error)) from error
    together = np.concatenate(found)
    if len(together) > BATCH_IMAGES:
        raise Problem(413, f"a request takes at most {BATCH_IMAGES} images")
    return together


def _prepared(content: bytes, model: Model) -> Images:
    channels, height, width = model.input_shape
    size = channels * height * width
    if not content.startswith(PICTURES):
        if not content or len(content) % size:
            raise Problem(400, f"neither PNG nor JPEG, nor a multiple of the {size} bytes of {model.name}'s images")
        return np.frombuffer(content, np.uint8).reshape(-1, channels, height, width)
    return prepare_for(model, content)[None]


def _pixels(content: list[Any], model: Model) -> Images:
    channels, height, width = model.input_shape
    try:
        pixels = np.array(content)
    except (ValueError, OverflowError) as error:
        raise Problem(400, "an image is a list of rows of the same length") from error
    if pixels.shape not in ((height, width), (channels, height, width)) or pixels.size != np.prod(model.input_shape):
        raise Problem(400, f"{model.name} takes images of {height} rows of {width} pixels, not {list(pixels.shape)}")
    if pixels.dtype.kind not in "iuf" or not ((pixels >= 0) & (pixels <= 255) & (pixels == np.rint(pixels))).all():
        raise Problem(400, "pixels are whole numbers from 0 (dark) to 255 (light)")
    return pixels.astype(np.uint8).reshape(1, *model.input_shape)


def _query(query: str) -> dict[str, Any]:
    try:
        fields = parse_qs(query, max_num_fields=16)
    except ValueError as error:
        raise Problem(400, "the query cannot be read") from error
    return {name: values[-1] for name, values in fields.items()}


def _json(body: bytes) -> Upload:
    options = json_object(body)
    items = options.pop("images", [options.pop("image")] if "image" in options else [])
    if not isinstance(items, list) or not all(isinstance(item, str | list) for item in items):
        raise Problem(400, "an image is a list of rows of pixels, or a PNG or JPEG picture in base64")
    return Upload([("", _unwrapped(item)) for item in items], options)


def _unwrapped(item: str | list[Any]) -> bytes | list[Any]:
    if isinstance(item, list):
        return item
    try:
        return base64.b64decode(item.partition("base64,")[2] or item, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "a picture in JSON is base64") from error


def _multipart(body: bytes, parameters: str) -> Upload:
    boundary = re.search(r'boundary=(?:"([^"]{1,70})"|([^\s;,]{1,70}))', parameters)
    if boundary is None:
        raise Problem(400, "multipart/form-data without a boundary")
    items: list[tuple[str, bytes | list[Any]]] = []
    options: dict[str, Any] = {}
    for head, content in _parts(body, (boundary[1] or boundary[2]).encode("latin-1")):
        name = re.search(r'[ ;]name="([^"]*)"', head)
        filename = re.search(r'filename="([^"]*)"', head)
        if filename or content.startswith(PICTURES):
            items.append((filename[1] if filename else "", content))
        elif name:
            options[name[1]] = content.decode("utf-8", "replace")
    return Upload(items, options)


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    """Heads and contents of the parts (RFC 7578)."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Problem(400, "the multipart body is not complete")
    if len(pieces) > UPLOADS + 18:
        raise Problem(413, f"a request takes at most {UPLOADS} pictures")
    for piece in pieces[1:-1]:
        head, separator, content = piece.partition(b"\r\n\r\n")
        if not separator:
            raise Problem(400, "a part of the multipart body has no headers")
        yield head.decode("utf-8", "replace"), content
