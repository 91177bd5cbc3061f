"""How often a network is right on drawings and photos, by how they were prepared.

    python -m bench.prepare models/simple_cnn.onnx FOLDER --n 100

The network is one trained on MNIST; the folder holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.
Prints a table and writes bench/results/prepare.json.
Every kind shows the same n digits; `ideal` is what no preparation can improve upon. See bench/drawings.py.
"""

import argparse
import io
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from bench.drawings import AS_THEY_ARE, IDEAL, KINDS, drawings
from bench.strokes import Bytes
from serve.inference.model import Model
from serve.pictures.prepare import PrepareError, frame, prepare

RESULTS = Path(__file__).parent / "results" / "prepare.json"


def resized(picture: bytes) -> Bytes:
    """What a first script does: grey, the sides squeezed to 28, inverted where most of it is light."""
    pixels = np.asarray(_grey(picture).resize((28, 28), Image.Resampling.BILINEAR))
    return 255 - pixels if np.median(pixels) > 127 else pixels


def framed(picture: bytes) -> Bytes:
    """What a careful script does: Otsu's threshold, the smaller class is ink, and MNIST's frame."""
    pixels = np.asarray(_grey(picture), float)
    counts = np.bincount(pixels.astype(int).ravel(), minlength=256)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above, rest = below[-1] - below, sums[-1] - sums
    gap = rest / np.maximum(above, 1) - sums / np.maximum(below, 1)
    light = pixels > int((below * above * gap**2).argmax())
    return frame((light if light.mean() < 0.5 else ~light).astype(float))


def _grey(picture: bytes) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(picture))
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image.convert("L")


WAYS: dict[str, Callable[[bytes], Bytes]] = {"resized": resized, "framed": framed, "prepared": prepare}


def measure(model: Model, folder: Path, kind: str, n: int) -> dict[str, Any]:
    """The share of right answers for each way, and the median time of ours in ms."""
    pictures, labels = zip(*drawings(kind, folder, n), strict=True)
    images = {name: np.stack([_or_blank(way, picture) for picture in pictures]) for name, way in WAYS.items()}
    answers = {name: model.predict(pixels[:, None]).probabilities for name, pixels in images.items()}
    right = {name: float((answer.argmax(axis=1) == labels).mean()) for name, answer in answers.items()}
    return {"kind": kind, "n": n, **right, "milliseconds": float(np.median([_timed(p) for p in pictures]))}


def _or_blank(way: Callable[[bytes], Bytes], picture: bytes) -> Bytes:
    try:
        return way(picture)
    except PrepareError:
        return np.zeros((28, 28), np.uint8)


def _timed(picture: bytes) -> float:
    start = time.perf_counter()
    _or_blank(prepare, picture)
    return round(1000 * (time.perf_counter() - start), 1)


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m bench.prepare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="ONNX file of a network trained on MNIST, 28 × 28")
    parser.add_argument("folder", type=Path, help="folder of MNIST's gzipped test files")
    parser.add_argument("--n", type=int, default=100, help="pictures of each kind")
    arguments = parser.parse_args()
    model = Model.load(arguments.model)
    if model.metadata.get("dataset", "mnist") != "mnist" or model.input_shape != (1, 28, 28):
        print(f"bench.prepare: {arguments.model} is no network for MNIST's 28 × 28 pixels", file=sys.stderr)
        return 2
    print(f"{'kind':18} {'resized':>8} {'framed':>8} {'prepared':>8} {'ms':>6}")
    rows = []
    for kind in (AS_THEY_ARE, IDEAL, *KINDS):
        rows.append(row := measure(model, arguments.folder, kind, arguments.n))
        print(f"{kind:18} {_shares(row)} {row['milliseconds']:6.1f}", flush=True)
    mean = {name: float(np.mean([row[name] for row in rows[2:]])) for name in WAYS}
    print(f"{'mean of ' + str(len(KINDS)) + ' kinds':18} {_shares(mean)}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**_circumstances(model, arguments.n), "mean": mean, "kinds": rows}, indent=1) + "\n")
    return 0


def _shares(row: dict[str, Any]) -> str:
    return " ".join(f"{row[name]:8.1%}" for name in WAYS)


def _circumstances(model: Model, n: int) -> dict[str, Any]:
    return {
        "network": model.network,
        "version": model.version,
        "pictures": n * len(KINDS),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


if __name__ == "__main__":
    sys.exit(main())
