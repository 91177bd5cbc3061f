"""Export one trained network to ONNX, and refuse to publish a file that does not match PyTorch.

    python -m stages.export lenet_28

The file takes uint8 images N×C×H×W and gives logits and calibrated probabilities; normalisation is inside.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

import serve
from serve.inference.model import Model, ModelError
from stages.core.cli import files
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import MODEL_INFO, MODELS, WEIGHTS
from stages.core.cli.progress import watched
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.networks import layers, networks
from stages.core.networks.networks import Network, Shape
from stages.core.onnx import calibration, onnx_file
from stages.core.onnx.novelty import Novelty
from stages.core.training.trainer import as_input

TOLERANCE = 1e-4  # of a logit, and as much again of the image's largest, of which fp32 keeps seven digits
BATCHES = (1, 2, 17, 256)
TOO_FEW = " (too few validation images to fit one, and to tell what looks like none of the classes)"


def main(network: str) -> None:
    metadata = datasets.metadata()
    training = files.read_json(WEIGHTS / network / "training.json")
    architecture = training["recipe"].get("architecture", network)
    shape = networks.input_shape(architecture, metadata["shape"])
    trained = restore(training, shape, len(metadata["classes"]))
    validation = datasets.load("validation", shape[-1])
    temperature = calibration.temperature(logits_of(trained, validation.images), validation.labels)
    too_few = len(validation) < calibration.LEAST
    novelty = None if too_few else Novelty.fit(trained, datasets.load("train", shape[-1]), images_like(validation))
    proto = onnx_file.to_onnx(trained, temperature, novelty)
    onnx_file.describe(proto, onnx_metadata(training, metadata) | {"temperature": str(temperature)})
    data = proto.SerializeToString(deterministic=True)
    parity = compare(trained, loaded(network, data), datasets.load("test", shape[-1]).images)
    model_info = {
        "network": network,
        "fingerprint": training["fingerprint"],
        "epochs": training["epochs"],
        "best_epoch": training["best_epoch"],
        "temperature": temperature,
        **size(trained, shape, data),
        "computed": {name: training[name] for name in ("accelerator", "precision", "torch")},
        "parity": parity,
        "layers": layers.layer_table(trained, shape),
    }
    files.write(MODELS / f"{network}.onnx", data)
    files.write_json(MODEL_INFO / f"{network}.json", model_info)
    print(
        f"{network}: {len(data):,} bytes, largest difference to torch {parity['largest_difference']:.1e}, "
        f"temperature {temperature:g}{TOO_FEW if too_few else ''}"
    )


def images_like(validation: LabelledImages) -> NDArray[np.uint8]:
    """Those images and, where there are, their augmented copies, which look more like the hands of others."""
    if "robustness" not in datasets.names():
        return validation.images
    return np.concatenate([validation.images, datasets.load("robustness", validation.images.shape[-1]).images])


def restore(training: dict[str, Any], shape: Shape, classes: int) -> Network:
    recipe = training["recipe"]
    built = {name: recipe[name] for name in ("filters", "widths") if name in recipe}
    network = networks.build(recipe.get("architecture", training["network"]), shape, classes, **built)
    path = WEIGHTS / training["network"] / "weights.safetensors"
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} cannot be used ({' '.join(str(error).split())}): run `dvc repro train`") from None
    return network.eval()


def onnx_metadata(training: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    shaping = ("seed", "threads", "accelerator", "precision", "layout", "compile")
    return {
        "network": training["network"],
        "classes": metadata["classes"],
        "dataset": metadata["dataset"],
        "dataset_sha256": metadata["sha256"],
        "preparation": metadata["preparation"],
        "parameters": training["recipe"] | {name: training[name] for name in shaping},
        "fingerprint": training["fingerprint"],
        "versions": {"torch": training["torch"], "onnx": version("onnx"), "cifra": serve.__version__},
    }


def loaded(name: str, data: bytes) -> Model:
    """The file as the server would load it, with all its checks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        files.write(path, data)
        try:
            return Model.load(path)
        except ModelError as error:
            raise UserError(f"{error}. Not published") from None


def size(network: nn.Module, shape: Shape, data: bytes) -> dict[str, int]:
    rows = layers.describe(network, shape)
    return {
        "parameters": sum(row.parameters for row in rows),
        "macs": sum(row.macs for row in rows),
        "bytes": len(data),
    }


def compare(network: nn.Module, model: Model, images: NDArray[np.uint8]) -> dict[str, Any]:
    """The parity gate: the whole test set, in batches of several sizes, against torch."""
    wanted = logits_of(network, images)
    largest = 0.0
    for batch in watched(BATCHES, f"{model.name}: comparing with PyTorch on {len(images):,} test images", "batch size"):
        got = np.concatenate(
            [model.predict(images[start : start + batch]).logits for start in range(0, len(images), batch)]
        )
        differences = np.abs(got - wanted).max(1)
        allowed = TOLERANCE * (1 + np.abs(wanted).max(1))
        largest = max(largest, float(differences.max()))
        disagreements = int((got.argmax(1) != wanted.argmax(1)).sum())
        if not (differences <= allowed).all() or disagreements:
            raise UserError(
                f"{model.name}: the ONNX file does not match PyTorch (batch {batch}: largest difference {largest:.1e}, "
                f"allowed {allowed.min():.0e}; {disagreements} other answers). Not published"
            )
    return {"images": len(images), "batches": list(BATCHES), "largest_difference": float(f"{largest:.1e}")}


@torch.inference_mode()
def logits_of(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    batches = [network(as_input(batch)) for batch in torch.from_numpy(images).split(1000)]
    return torch.cat(batches).numpy()


if __name__ == "__main__":
    command(main, __doc__)
