"""What other servers are given is what they take: Triton's configuration is read by Triton's own schema."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from serve.__main__ import main
from serve.inference.limits import ANSWER_SECONDS, BATCH_IMAGES, QUEUE_IMAGES
from tests.serve.networks import save


def model_config(text: str) -> Any:
    """The package itself asks for gRPC, this one file of it does not."""
    spec = importlib.util.find_spec("tritonclient")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    found = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return text_format.Parse(text, module.ModelConfig())  # refuses unknown fields, types and enums


def test_triton_gets_the_contract_and_our_bounds(tmp_path: Path) -> None:
    file = save(tmp_path, "mlp")
    assert main(["export", "--triton", str(tmp_path / "repository"), "--models", str(file)]) == 0
    made = tmp_path / "repository" / file.stem
    assert (made / "1" / "model.onnx").read_bytes() == file.read_bytes()
    assert (made / "labels.txt").read_text().split() == [str(digit) for digit in range(10)]
    config = model_config((made / "config.pbtxt").read_text())
    assert (config.name, config.backend, config.max_batch_size) == (file.stem, "onnxruntime", BATCH_IMAGES)
    assert [(each.name, each.data_type, list(each.dims)) for each in config.input] == [("image", 2, [1, 28, 28])]
    outputs = {each.name: (each.data_type, list(each.dims)) for each in config.output}
    assert outputs["probabilities"] == outputs["logits"] == (11, [10])
    policy = config.dynamic_batching.default_queue_policy
    assert (policy.max_queue_size, policy.default_timeout_microseconds) == (QUEUE_IMAGES, ANSWER_SECONDS * 1e6)
    assert policy.timeout_action == policy.REJECT


def test_kserve_gets_a_service_of_the_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--kserve", "s3://bucket/repository"]) == 0
    made = json.loads(capsys.readouterr().out)
    model = made["spec"]["predictor"]["model"]
    assert (made["kind"], model["modelFormat"], model["protocolVersion"]) == (
        "InferenceService",
        {"name": "onnx"},
        "v2",
    )
    assert model["storageUri"] == "s3://bucket/repository"


def test_what_cannot_be_exported_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    file = save(tmp_path, "mlp")
    spoiled = tmp_path / "spoiled.onnx"
    spoiled.write_bytes(file.read_bytes()[:-9])
    before = sorted(tmp_path.rglob("*"))
    for where, model in (("full", file), ("new", spoiled), ("new", tmp_path / "nowhere.onnx")):
        assert main(["export", "--triton", str(tmp_path / where), "--models", str(model)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
