"""Give the networks to other servers: a model repository for NVIDIA Triton, a manifest for KServe.

    python -m serve export --triton DIR                        every network of models/
    python -m serve export --triton DIR --models models/lenet_28.onnx
    python -m serve export --kserve s3://bucket/repository     prints an InferenceService for what was copied there

Triton holds the same bounds as our server: images in a batch, images that wait, seconds until an answer.
Exit codes: 0 written, 2 it cannot be.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from serve.inference.check import IMAGE
from serve.inference.limits import ANSWER_SECONDS, BATCH_IMAGES, QUEUE_IMAGES
from serve.inference.model import Model

TYPES = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}
BATCHING = f"""dynamic_batching {{
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {round(ANSWER_SECONDS * 1e6)}
    max_queue_size: {QUEUE_IMAGES}
  }}
}}
"""


def main(argv: list[str]) -> None:
    """Raises ValueError, OSError."""
    arguments = _parser().parse_args(argv)
    if arguments.kserve:
        print(json.dumps(inference_service(arguments.kserve), indent=2))
        return
    paths = arguments.models or sorted(Path("models").glob("*.onnx"))
    if not paths:
        raise ValueError("no ONNX file in models; `make` trains and exports some, or name one with --models")
    models = [Model.load(path) for path in paths]
    repository(arguments.triton, models)
    print(f"{arguments.triton}: {', '.join(model.name for model in models)}; tritonserver --model-repository takes it")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m serve export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--triton", type=Path, metavar="DIR", help="folder to write, which must not be there or be empty")
    what.add_argument("--kserve", metavar="URI", help="where KServe finds that folder: s3://…, gs://…, pvc://…")
    parser.add_argument("--models", type=Path, nargs="+", metavar="FILE", help="ONNX files (default: all of models/)")
    return parser


def repository(where: Path, models: list[Model]) -> None:
    """All of it or nothing. Raises ValueError where something else is there, OSError."""
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise ValueError(f"{where} holds other files; name a folder that is empty or not there yet")
    where.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{where.name}.", suffix=".partial", dir=where.parent) as partial:
        made = Path(partial, "repository")
        for model in models:
            (made / model.name / "1").mkdir(parents=True)
            shutil.copyfile(model.path, made / model.name / "1" / "model.onnx")
            (made / model.name / "config.pbtxt").write_text(config(model), encoding="utf-8")
            (made / model.name / "labels.txt").write_text("\n".join(model.classes) + "\n", encoding="utf-8")
        made.replace(where)


def config(model: Model) -> str:
    """As Triton's ModelConfig in text; shapes without the batch."""
    [image] = model.session.get_inputs()
    lines = [f"name: {json.dumps(model.name)}", 'backend: "onnxruntime"', f"max_batch_size: {BATCH_IMAGES}"]
    lines.append(_tensor("input", image, model))
    lines += [_tensor("output", output, model) for output in model.session.get_outputs()]
    lines.append("instance_group [ { kind: KIND_AUTO } ]")
    if model.batches:  # else an image's answer would depend on who asks at the same time
        lines.append(BATCHING)
    return "\n".join(lines)


def _tensor(kind: str, tensor: Any, model: Model) -> str:
    shape = list(model.input_shape if tensor.name == IMAGE else model.checked.shapes[tensor.name])
    labels = ' label_filename: "labels.txt"' if shape == [len(model.classes)] else ""
    return f"{kind} [ {{ name: {json.dumps(tensor.name)} data_type: {TYPES[tensor.type]} dims: {shape}{labels} }} ]"


def inference_service(uri: str) -> dict[str, Any]:
    """KServe's, served by its Triton; protocolVersion is not optional: without it no runtime fits."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "cifra"},
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "maxReplicas": 4,
                "scaleMetric": "concurrency",
                "scaleTarget": BATCH_IMAGES,
                "model": {
                    "modelFormat": {"name": "onnx"},
                    "protocolVersion": "v2",
                    "runtime": "kserve-tritonserver",
                    "storageUri": uri,
                    "resources": {
                        "requests": {"cpu": "1", "memory": "512Mi"},
                        "limits": {"cpu": "2", "memory": "1Gi"},
                    },
                },
            }
        },
    }
