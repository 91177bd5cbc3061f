"""How sure a network is and may be: its calibration, what it doubts, and the 35 styles of bench/hand.py that it reads.

    python -m bench.sure models/best_cnn.onnx FOLDER

FOLDER holds MNIST's t10k files, for a network trained on MNIST; another is asked no test images. What is no digit is
drawn as on the page's board, forty of each kind, and prepared as the server does. Writes bench/results/sure.json, one
entry for each network and set.

What these figures are worth: `Novelty` was chosen among over a hundred ways by looking at test images and at the same
glyphs by other hands (docs/tried.md), and the widths of strokes were tuned on these 35 styles, so the shares doubted
and read flatter it. The temperature saw validation images alone.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from bench.drawings import read_idx
from bench.hand import DIGITS, OTHERS, WAYS, digits, others
from serve.inference.model import Images, Model
from serve.pictures.prepare import prepare_for
from stages.core.cli import files
from stages.core.evaluation.certainty import binned_error, top
from stages.evaluate import BATCH, predict

RESULTS = Path(__file__).parent / "results" / "sure.json"
EACH = 40  # drawings of each kind
HANDS = 1  # the seed; 0 was used for choosing


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m bench.sure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    model = Model.load(asked.model)
    found = {"version": model.version, "temperature": float(model.metadata["temperature"])}
    if model.metadata["dataset"] == "mnist":
        found |= {"test": test(model, asked.folder)}
    found |= {"doubted": doubted(model), "styles": {way: right(model, way) for way in WAYS}}
    kept = files.read_json(RESULTS) if RESULTS.exists() else {}
    files.write_json(RESULTS, kept | {f"{model.network} {model.metadata['dataset']}": found})
    print(files.json_bytes(found).decode())


def test(model: Model, folder: Path) -> dict[str, Any]:
    """The expected calibration error, without the temperature too, and the share that is doubted."""
    images = read_idx(folder / "t10k-images-idx3-ubyte.gz")[:, None]
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    answer = predict(model, images)
    powers = np.exp(answer.logits - answer.logits.max(axis=1, keepdims=True))
    uncalibrated = powers / powers.sum(axis=1, keepdims=True)
    errors = [binned_error(*top(each, answer.logits, labels)) for each in (answer.probabilities, uncalibrated)]
    return {
        "images": len(labels),
        "accuracy": float((answer.logits.argmax(axis=1) == labels).mean()),
        "calibration_error": errors[0],
        "calibration_error_uncalibrated": errors[1],
        "doubted": share_doubted(model, images),
    }


def share_doubted(model: Model, images: Images) -> float:
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return sum(bool(doubt) for batch in batches for doubt in model.predict(batch).doubts) / len(images)


def doubted(model: Model) -> dict[str, float]:
    """The share of each kind that is no digit, and of all."""
    shares = {
        kind: share_doubted(model, np.stack([prepare_for(model, each) for each in others(kind, EACH, HANDS)]))
        for kind in OTHERS
    }
    return shares | {"all": float(np.mean(list(shares.values())))}


def right(model: Model, way: str) -> dict[str, Any]:
    """Of the 35 styles written in that way: how many are read, which are not, how many are doubted."""
    names, pictures = zip(*digits(way), strict=True)
    images = np.stack([prepare_for(model, each) for each in pictures])
    answer = model.predict(images)
    labels = [model.classes[best] for best in answer.probabilities.argmax(axis=1)]
    wrong = {name: label for name, label in zip(names, labels, strict=True) if label != name[0]}
    return {"right": len(DIGITS) - len(wrong), "doubted": sum(map(bool, answer.doubts)), "wrong": wrong}


if __name__ == "__main__":
    main()
