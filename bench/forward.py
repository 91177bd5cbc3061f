"""The page's forward pass, one image after another on one core of this machine, in node.

    python -m bench.forward models --onnxruntime-web FOLDER

FOLDER is where `npm install onnxruntime-web` was run; without it only ours is timed. Also how far answers move by
weights of 16 bits, on the test images beside the models. Prints a table and writes bench/results/forward.json.
"""

import argparse
import json
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from serve.http.samples import resized
from serve.inference.model import Model
from serve.protocol.packed import packed
from stages.core.cli import files

RESULTS = Path(__file__).parent / "results" / "forward.json"
PAGE = Path(__file__).parents[1] / "serve" / "page"

OURS = """
const { Model } = await import(args[0] + "/model.js");
const model = new Model(bytesOf(args[1]).buffer);
const run = async (image) => model.outputs(image).get(model.answer);
"""
THEIRS = """
const ort = (await import("node:module")).createRequire(args[0] + "/")("onnxruntime-web");
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(bytesOf(args[1]));
const shape = [1, ...JSON.parse(args[3])];
const run = async (image) =>
    (await session.run({ image: new ort.Tensor("uint8", image, shape) }, ["probabilities"])).probabilities.data;
"""
TIMED = """
const all = bytesOf(args[2]);
const each = JSON.parse(args[3]).reduce((a, b) => a * b);
const images = Array.from({ length: all.length / each }, (_, at) => all.slice(at * each, (at + 1) * each));
for (const image of images.slice(0, 20)) await run(image);
const times = [];
const answers = [];
for (const image of images) {
    const start = performance.now();
    answers.push([...(await run(image))]);
    times.push(performance.now() - start);
}
console.log(JSON.stringify([times.sort((a, b) => a - b)[times.length >> 1], answers]));
process.exit(0);
"""
HEAD = """
import { readFileSync } from "node:fs";
const args = process.argv.slice(1);
const bytesOf = (path) => Uint8Array.from(readFileSync(path));
"""


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.forward", description=__doc__.partition("\n")[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("--onnxruntime-web", type=Path, metavar="FOLDER")
    parser.add_argument("--n", type=int, default=100, help="images")
    arguments = parser.parse_args()
    samples = np.load(arguments.models.parent / "samples" / "samples.npy")[: arguments.n]
    found = {path.stem: measured(path, samples, arguments.onnxruntime_web) for path in arguments.models.glob("*.onnx")}
    found = dict(sorted(found.items(), key=lambda item: item[1]["ms"]))
    for name, row in found.items():
        print(f"{name:14}", "  ".join(f"{key} {value:.3g}" for key, value in row.items()))
    files.write_json(RESULTS, {"machine": platform.machine(), "images": len(samples), "networks": found})


def measured(path: Path, samples: Any, web: Path | None) -> dict[str, float]:
    """Milliseconds are medians; `half_moves` is the largest change of a probability by weights of 16 bits."""
    model = Model.load(path)
    images = resized(samples, model.input_shape[-1])
    with tempfile.TemporaryDirectory() as folder:
        ms, ours = timed(OURS, PAGE.as_uri(), packed(model), images, Path(folder))
        _, half = timed(OURS, PAGE.as_uri(), packed(model, half=True), images, Path(folder))
        row = {"ms": ms, "bytes": len(packed(model)), "half_bytes": len(packed(model, half=True))}
        row |= {"half_moves": float(np.abs(ours - half).max()), "half_other_class": other_class(ours, half)}
        if web:
            theirs_ms, theirs = timed(THEIRS, str(web.absolute()), path.read_bytes(), images, Path(folder))
            row |= {"onnxruntime_web_ms": theirs_ms, "onnxruntime_web_other_class": other_class(ours, theirs)}
    return row


def other_class(one: Any, other: Any) -> int:
    return int((one.argmax(axis=1) != other.argmax(axis=1)).sum())


def timed(way: str, where: str, network: bytes, images: Any, folder: Path) -> tuple[float, Any]:
    """The median milliseconds of one image, and the probabilities of all."""
    (folder / "network").write_bytes(network)
    (folder / "images").write_bytes(images.tobytes())
    arguments = [where, str(folder / "network"), str(folder / "images"), json.dumps(images.shape[1:])]
    command = ["node", "--no-warnings", "--input-type=module", "--eval", HEAD + way + TIMED, *arguments]
    ms, answers = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return round(ms, 3), np.array(answers)


if __name__ == "__main__":
    main()
