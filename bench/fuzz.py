"""Feed spoiled bytes to everything here that parses bytes, and count what is neither understood nor refused.

    python -m bench.fuzz                          10 minutes for each target
    python -m bench.fuzz --minutes 2 --only idx image --seed 7

The targets: IDX files, pictures, OIP bodies, uploads, and the drawing in a link to the page, which a
browser reads (that needs chromium; the server never sees what follows the #). A refusal is the error that the module
documents, which the server answers with 4xx; any other exception would be a 5xx. Adds to bench/results/fuzz.json; an
input that did harm is written beside it, or printed. Exit codes: 0 all refused or understood, 1 otherwise.
"""

import argparse
import gzip
import io
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from filelock import FileLock
from PIL import Image, ImageDraw

from bench.fuzz_link import fuzz_link
from bench.spoil import spoiled_gzip, spoiled_json, spoiled_picture
from serve.http.messages import HEADER_LENGTH, Problem
from serve.inference.check import IMAGE
from serve.inference.model import Model
from serve.pictures.prepare import PrepareError, prepare
from serve.protocol import answers, oip, uploads
from stages.core.cli import files
from stages.core.cli.errors import UserError
from stages.core.sources.idx import decode as decode_idx

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench/results"
FOUND = RESULTS / "fuzz.json"
LOCK = ROOT / "bench/.work/fuzz.lock"
SLOW_SECONDS = 5.0  # the server's own deadline


class Target(NamedTuple):
    read: Callable[[bytes], object]
    samples: list[bytes]
    refusal: type[Exception]
    spoil: Callable[[bytes, random.Random], bytes]


def targets(model: Model) -> dict[str, Target]:
    dice = np.random.default_rng(0)
    image = dice.integers(0, 256, (1, *model.input_shape), dtype=np.uint8)
    pictures, bodies = _pictures(), _oip_bodies(image)
    idx = [_idx(image[:, 0]), _idx(np.arange(10, dtype=np.uint8))]
    read_oip, read_upload = (lambda data: _infer(model, data)), (lambda data: _upload(model, data))
    return {
        "idx": Target(lambda data: decode_idx(data, "fuzz.gz"), idx, UserError, spoiled_gzip),
        "image": Target(prepare, pictures, PrepareError, spoiled_picture),
        "oip": Target(read_oip, bodies, Problem, spoiled_json),
        "upload": Target(read_upload, [*pictures, *_uploads(pictures[0], image[0, 0])], Problem, spoiled_json),
    }


def _idx(array: np.ndarray) -> bytes:
    sizes = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes(), 1)


def _pictures() -> list[bytes]:
    """A seven, in every mode."""
    grey = Image.new("L", (60, 80), 230)
    ImageDraw.Draw(grey).line([(12, 15), (45, 15), (22, 66)], fill=30, width=6)
    kinds = [("PNG", "L"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("PNG", "1"), ("JPEG", "L"), ("JPEG", "RGB")]
    found = []
    for kind, mode in kinds:
        buffer = io.BytesIO()
        picture = Image.fromarray(np.asarray(grey, np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
        picture.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def _oip_bodies(image: np.ndarray) -> list[bytes]:
    tensor = {"name": IMAGE, "shape": image.shape, "datatype": "UINT8"}
    sized = {**tensor, "parameters": {"binary_data_size": image.nbytes}}
    top = [{"name": "logits", "parameters": {"binary_data": True, "classification": 3}}]
    nested = {"id": "a", "parameters": {"timeout": 10**6}, "inputs": [{**tensor, "data": image.tolist()}]}
    flat = {"inputs": [{**tensor, "data": image.ravel().tolist()}], "outputs": top}
    return [*map(orjson.dumps, (nested, flat)), orjson.dumps({"inputs": [sized]}) + b"\0" + image.tobytes()]


def _uploads(picture: bytes, pixels: np.ndarray) -> list[bytes]:
    form = b'--b\r\nContent-Disposition: form-data; name="i"; filename="a.png"\r\n\r\n' + picture + b"\r\n--b--\r\n"
    return [form, orjson.dumps({"images": [pixels.tolist()], "ablate": [{"layer": "relu1", "unit": 1}]})]


def _infer(model: Model, data: bytes) -> None:
    """With a NUL, the JSON ends there and bytes follow, as the header says."""
    head, separator, tail = data.partition(b"\0")
    headers = {HEADER_LENGTH.encode(): str(len(head)).encode()} if separator else {}
    call = oip.parse(model, headers, head + tail)
    oip.encode(model, call, model.predict(call.images))


def _upload(model: Model, data: bytes) -> None:
    kind = "application/json" if data[:1] in b"{[" else "multipart/form-data; boundary=b"
    answers.predict(model, uploads.read(data, kind, ""))


def fuzz(name: str, target: Target, seconds: float, seed: int) -> dict[str, Any]:
    dice, seen, harm = random.Random(f"{name} {seed}"), Counter[str](), 0
    begin, slowest = time.perf_counter(), 0.0
    while time.perf_counter() - begin < seconds:
        data = target.spoil(dice.choice(target.samples), dice)
        started = time.perf_counter()
        outcome = _outcome(target, data)
        took = time.perf_counter() - started
        slowest = max(slowest, took)
        seen[outcome.partition(":")[0]] += 1
        if outcome.startswith("harm") or took > SLOW_SECONDS:
            harm += 1
            (RESULTS / f"fuzz-{name}-{harm}.bin").write_bytes(data)
            print(f"{name}: {outcome} after {took:.2f} s", file=sys.stderr)
    return {
        "minutes": round(seconds / 60, 2),
        "seed": seed,
        **seen,
        "slowest_ms": round(slowest * 1e3, 1),
        "harm": harm,
    }


def _outcome(target: Target, data: bytes) -> str:
    try:
        target.read(data)
    except target.refusal as refusal:
        status = getattr(refusal, "status", 400)
        return "refused" if status < 500 else f"harm: {status} {refusal}"
    except Exception:
        return f"harm: {traceback.format_exc()}"
    return "understood"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["idx", "image", "oip", "upload", "link"]
    parser.add_argument("--minutes", type=float, default=10, help="for each target (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=ROOT / "models/lenet_28.onnx")
    arguments = parser.parse_args()
    parsed, seconds, harm = targets(Model.load(arguments.model)), 60 * arguments.minutes, 0
    for name in arguments.only:
        if name == "link" and not shutil.which("chromium"):
            print("link: skipped, there is no chromium (apt-get install chromium)")
            continue
        if name == "link":
            found = fuzz_link(arguments.model, seconds, arguments.seed)
        else:
            found = fuzz(name, parsed[name], seconds, arguments.seed)
        print(name, found, flush=True)
        keep(name, found)
        harm += found["harm"]
    return int(harm > 0)


def keep(name: str, found: dict[str, Any]) -> None:
    """Beside what was found of other targets, perhaps by another process meanwhile."""
    LOCK.parent.mkdir(exist_ok=True)
    with FileLock(LOCK):
        held = files.read_json(FOUND) if FOUND.exists() else {}
        files.write_json(FOUND, held | {name: found})


if __name__ == "__main__":
    sys.exit(main())
