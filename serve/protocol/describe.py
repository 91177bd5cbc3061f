"""What the server says of itself and its models, in the protocol's words."""

from collections.abc import Mapping
from typing import Any

from serve import __version__
from serve.http.metrics import Statistics
from serve.inference.check import IMAGE
from serve.inference.limits import BATCH_IMAGES
from serve.inference.model import Model
from serve.inference.repository import Entry
from serve.protocol.oip import OUTPUTS

SERVER = {
    "name": "cifra",
    "version": __version__,
    "extensions": [
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "model_repository",
        "statistics",
    ],
}


def metadata(model: Model) -> dict[str, Any]:
    """What the protocol asks for, and what leads back to the model's data, parameters and MLflow run."""
    values = {"datatype": "FP32", "shape": [-1, len(model.classes)]}
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": IMAGE, "datatype": "UINT8", "shape": [-1, *model.input_shape]}],
        "outputs": [{"name": name, **values} for name in OUTPUTS],
        "network": model.network,
        "classes": model.classes,
        "sha256": model.sha256,
        "metadata": model.metadata,
        "mlflow": {"filter": f"tags.fingerprint = '{model.metadata.get('fingerprint', '')}'"},
    }


def configuration(model: Model) -> dict[str, Any]:
    """Triton's model configuration, as far as it applies here."""
    classes = {"data_type": "TYPE_FP32", "dims": [len(model.classes)]}
    return {
        "name": model.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": BATCH_IMAGES,
        "input": [{"name": IMAGE, "data_type": "TYPE_UINT8", "dims": list(model.input_shape)}],
        "output": [{"name": name, **classes} for name in OUTPUTS],
        "dynamic_batching": {"max_queue_delay_microseconds": 0},
    }


def statistics(model: Model, seen: Statistics) -> dict[str, Any]:
    """Triton's statistics. Runs are counted whole: their input and output have no times of their own."""
    nothing = {"count": 0, "ns": 0}
    queue_ns, run_ns = int(seen.queue_seconds * 1e9), int(seen.run_seconds * 1e9)
    return {
        "name": model.name,
        "version": model.version,
        "last_inference": int(seen.last * 1000),
        "inference_count": seen.images,
        "execution_count": seen.batches.total(),
        "inference_stats": {
            "success": {"count": seen.answered, "ns": queue_ns + run_ns},
            "fail": {"count": seen.failed, "ns": 0},
            "queue": {"count": seen.answered, "ns": queue_ns},
            "compute_input": {"count": seen.answered, "ns": 0},
            "compute_infer": {"count": seen.answered, "ns": run_ns},
            "compute_output": {"count": seen.answered, "ns": 0},
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [
            {
                "batch_size": size,
                **{part: {"count": count, "ns": 0} for part in ("compute_input", "compute_infer", "compute_output")},
            }
            for size, count in sorted(seen.batches.items())
        ],
    }


def index(entries: Mapping[str, Entry], *, only_ready: bool) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "version": entry.model.version if entry.model else "",
            "state": "READY" if entry.model else "UNAVAILABLE",
            "reason": "unloaded" if entry.unloaded else entry.reason,
        }
        for name, entry in entries.items()
        if entry.model or not only_ready
    ]
