"""Bodies of /predict and /explain into images as a network takes them."""

import base64
import binascii
from email.message import Message
from email.parser import BytesParser
from email.utils import collapse_rfc2231_value
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import numpy as np

from serve.http.messages import Problem
from serve.inference.limits import BATCH_IMAGES, UPLOADS
from serve.inference.model import Images, Model
from serve.pictures.prepare import PrepareError, TooLargeError, prepare_for, takes_digits
from serve.protocol.oip import json_object

PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"II*\0", b"MM\0*")  # how PNG, JPEG, WebP, TIFF begin
OPTIONS = ("model", "weights", "layers", "ablate", "shape")  # and pictures, whatever their fields are called
LIGHT = 200  # of the edge, from which on a ground is paper
ACCEPTED = "a PNG or JPEG picture, multipart/form-data with pictures, application/json or application/octet-stream"


class Upload(NamedTuple):
    """What a client sent: items are pictures (bytes) or pixels (lists), options what else it said."""

    items: list[tuple[str, bytes | list[Any]]]
    """Names, where they have one, and contents."""
    options: dict[str, Any]


def read(body: bytes, content_type: str, query: str) -> Upload:
    """Raises Problem: 400, 413 or 415."""
    kind = content_type.partition(";")[0]
    kind = kind.strip().lower()
    options = _query(query)
    if body.startswith(PICTURES):
        return Upload([("", body)], options)
    if kind == "multipart/form-data":
        upload = _multipart(body, content_type)
    elif kind == "application/json":
        upload = _json(body)
    elif kind == "application/octet-stream":
        upload = Upload([("", body)], {})
    elif kind == "application/x-www-form-urlencoded":
        raise Problem(
            415, f"a form without files; curl sends a picture with --data-binary @FILE, not -d: send {ACCEPTED}"
        )
    else:
        raise Problem(415, f"send {ACCEPTED}")
    unknown = [name for name in {**options, **upload.options} if name not in OPTIONS]
    if unknown:
        raise Problem(400, f"unknown field {unknown[0][:40]!r}; there are {', '.join(OPTIONS)}")
    if len(upload.items) > UPLOADS:
        raise Problem(413, f"a request takes at most {UPLOADS} pictures")
    return Upload(upload.items, options | upload.options)


def images_of(upload: Upload, model: Model, *, checked: bool = False) -> Images:
    """[N, C, H, W] as the model takes them. Raises Problem.

    Args:
        checked: pixels must look like a picture; what a network makes of an empty one may be asked too.
    """
    if not upload.items:
        raise Problem(400, f"no image; send {ACCEPTED}")
    found = []
    for name, content in upload.items:
        try:
            is_picture = isinstance(content, bytes) and content.startswith(PICTURES)
            if is_picture or isinstance(content, list):
                found.append(_pixels(content, model) if isinstance(content, list) else _prepared(content, model))
            else:
                found.append(_raw(content, model, upload.options.get("shape")))
            if checked and not is_picture:
                _check(found[-1], model)
        except PrepareError as error:
            status = 413 if isinstance(error, TooLargeError) else 400
            raise Problem(status, f"{name[:80]}: {error}" if name else str(error)) from error
    together = np.concatenate(found)
    if len(together) > BATCH_IMAGES:
        raise Problem(413, f"a request takes at most {BATCH_IMAGES} images")
    return together


def _prepared(content: bytes, model: Model) -> Images:
    return prepare_for(model, content)[None]


def _raw(content: bytes, model: Model, said: Any) -> Images:
    """Pixels as bytes: one image, or as many as `shape` says. Floats or colours would pass for several images."""
    size = int(np.prod(model.input_shape))
    shape = [1, *model.input_shape]
    if said is not None:
        sides = str(said).strip("[] ").split(",")
        shape = [int(side) for side in sides if side.strip().isdecimal() and len(side) < 9]
        if len(shape) != len(sides) or shape[1:] != list(model.input_shape) or shape[0] < 1:
            raise Problem(400, f"'shape' must be N,{','.join(map(str, model.input_shape))}, not {str(said)[:40]!r}")
    if shape[0] > BATCH_IMAGES:
        raise Problem(413, f"a request takes at most {BATCH_IMAGES} images")
    if len(content) != shape[0] * size:
        raise Problem(
            400,
            f"neither PNG nor JPEG, nor the {shape[0] * size} bytes of {shape[0]} of {model.name}'s images (UINT8): "
            f"{len(content)} bytes; of more than one say ?shape=N,{','.join(map(str, model.input_shape))}",
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _check(images: Images, model: Model) -> None:
    """What `prepare` finds out of a picture: pixels are taken as they are, so they must be what they should be."""
    for image in images:
        lightest = int(image.max())
        if lightest == image.min():
            raise Problem(400, "the image is empty: all its pixels are the same")
        if lightest == 1:
            raise Problem(400, "pixels of 0 and 1: they go from 0 (dark) to 255 (light); multiply by 255")
        edge = np.concatenate(
            [image[:, 0].ravel(), image[:, -1].ravel(), image[..., 0].ravel(), image[..., -1].ravel()]
        )
        if takes_digits(model) and np.median(edge) > LIGHT:
            raise Problem(400, "dark ink on a light ground: pixels are light ink on dark, 255 minus these")


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
    text = "".join((item.partition("base64,")[2] or item).split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "a picture in JSON is base64") from error


def _multipart(body: bytes, content_type: str) -> Upload:
    """Read by the grammar of MIME (RFC 7578, 2231): names may be quoted, escaped, or in another alphabet."""
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    if message.get_boundary() is None:
        raise Problem(400, "multipart/form-data without a boundary")
    if message.defects or not message.is_multipart():
        raise Problem(400, "the multipart body is not complete")
    parts = message.get_payload()
    if len(parts) > UPLOADS + 16:
        raise Problem(413, f"a request takes at most {UPLOADS} pictures")
    items: list[tuple[str, bytes | list[Any]]] = []
    options: dict[str, Any] = {}
    for part in parts:
        _add_part(part, items, options)
    return Upload(items, options)


def _add_part(part: Any, items: list[tuple[str, bytes | list[Any]]], options: dict[str, Any]) -> None:
    assert isinstance(part, Message)
    content = part.get_payload(decode=True)
    name = part.get_param("name", header="content-disposition")
    filename = part.get_filename()
    if not isinstance(content, bytes) or name is None:
        raise Problem(400, "a part of the multipart body is no field of a form: it has no name")
    if filename or content.startswith(PICTURES):
        items.append((filename or "", content))
    else:
        options[collapse_rfc2231_value(name)] = content.decode("utf-8", "replace")
