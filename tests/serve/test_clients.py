"""The protocol's own clients, unmodified."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from serve.inference.model import Model
from tests.serve.running import ROOT, Client, Running, running

Make = Callable[..., np.ndarray]
KSERVE = Path(os.environ.get("CIFRA_KSERVE_PYTHON", ROOT / "bench/.venvs/kserve/bin/python"))


@pytest.fixture(scope="module")
def lenet(models_dir: Path) -> Model:
    return Model.load(models_dir / "lenet_28.onnx")


@pytest.fixture(scope="module")
def controlled(models_dir: Path) -> Iterator[Running]:
    with running(models_dir, model_control=True) as found:
        yield found


@pytest.fixture
def triton(client: Client) -> Iterator[Any]:
    http = pytest.importorskip("tritonclient.http", reason="pip install 'tritonclient[http]'")
    found = http.InferenceServerClient(f"127.0.0.1:{client.port}", concurrency=4)
    yield found
    found.close()


def _input(images: np.ndarray, *, binary: bool = True) -> list[Any]:
    http = pytest.importorskip("tritonclient.http")
    tensor = http.InferInput("image", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    return [tensor]


def test_triton_reads_health_and_metadata(triton: Any, lenet: Model) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("lenet_28")
    assert triton.is_model_ready("lenet_28", lenet.version)
    assert not triton.is_model_ready("nope")
    assert triton.get_server_metadata()["name"] == "cifra"
    assert triton.get_model_metadata("lenet_28")["versions"] == [lenet.version]
    assert triton.get_model_config("lenet_28")["name"] == "lenet_28"
    assert {"lenet_28", "mlp"} <= {entry["name"] for entry in triton.get_model_repository_index()}
    assert triton.get_inference_statistics("lenet_28")["model_stats"][0]["name"] == "lenet_28"
    assert len(triton.get_inference_statistics()["model_stats"]) == 3


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_triton_infers(binary: bool, compression: str | None, triton: Any, lenet: Model, images: Make) -> None:
    result = triton.infer(
        "lenet_28",
        _input(images(20), binary=binary),
        model_version=lenet.version,
        request_id="r1",
        timeout=1_000_000,
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    assert np.array_equal(result.as_numpy("logits"), lenet.predict(images(20)).logits)
    assert np.array_equal(result.as_numpy("probabilities"), lenet.predict(images(20)).probabilities)
    assert (result.get_response()["id"], result.get_response()["model_version"]) == ("r1", lenet.version)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_asks_for_classes(binary: bool, triton: Any, lenet: Model, images: Make) -> None:
    http = pytest.importorskip("tritonclient.http")
    outputs = [http.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)]
    found = triton.infer("lenet_28", _input(images()), outputs=outputs).as_numpy("probabilities")
    best = np.asarray(found).ravel()[0]
    index = (best.decode() if isinstance(best, bytes) else best).split(":")[1]
    assert int(index) == lenet.predict(images()).probabilities.argmax()


def test_triton_asks_in_parallel(triton: Any, lenet: Model, images: Make) -> None:
    waiting = [triton.async_infer("lenet_28", _input(images(seed=seed))) for seed in range(30)]
    for seed, request in enumerate(waiting):
        expected = lenet.predict(images(seed=seed)).logits
        assert np.array_equal(request.get_result().as_numpy("logits"), expected)


def test_triton_reads_our_errors(triton: Any, images: Make) -> None:
    error = pytest.importorskip("tritonclient.utils").InferenceServerException
    with pytest.raises(error, match="unknown model 'nope'"):
        triton.infer("nope", _input(images()))
    with pytest.raises(error, match="must have the shape"):
        triton.infer("lenet_28", _input(images(size=32)))
    with pytest.raises(error, match="--model-control"):
        triton.unload_model("lenet_28")


def test_triton_loads_and_unloads(controlled: Running) -> None:
    http = pytest.importorskip("tritonclient.http")
    found = http.InferenceServerClient(f"127.0.0.1:{controlled.client.port}")
    found.unload_model("mlp")
    assert not found.is_model_ready("mlp")
    found.load_model("mlp")
    assert found.is_model_ready("mlp")
    found.close()


def test_triton_asynchronous(client: Client, lenet: Model, images: Make) -> None:
    aio = pytest.importorskip("tritonclient.http.aio", reason="pip install 'tritonclient[http]'")

    async def ask() -> np.ndarray:
        async with aio.InferenceServerClient(f"127.0.0.1:{client.port}") as found:
            assert await found.is_server_ready()
            assert (await found.get_model_metadata("lenet_28"))["platform"] == "onnx_onnxv1"
            result = await found.infer("lenet_28", _input(images(3)))
            return result.as_numpy("logits")

    assert np.array_equal(asyncio.run(ask()), lenet.predict(images(3)).logits)


@pytest.mark.slow
@pytest.mark.skipif(not KSERVE.exists(), reason="no environment with kserve; `python -m bench.serve --prepare kserve`")
def test_kserve(client: Client, lenet: Model) -> None:
    script = str(ROOT / "tests/serve/kserve_client.py")
    ran = subprocess.run([KSERVE, script, str(client.port)], capture_output=True, text=True, check=True)
    found = orjson.loads(ran.stdout)
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    image = np.arange(784).astype(np.uint8).reshape(1, 1, 28, 28)
    for binary in (False, True):
        identity, name, _, logits = found[f"binary {binary}"]
        assert (identity, name) == (f"id-{binary}", "lenet_28")
        assert np.array_equal(np.array(logits, np.float32), lenet.predict(image).logits[0])
    assert "unknown model 'nope'" in found["error"]
