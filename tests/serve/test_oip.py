import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from serve.inference import limits
from serve.inference.model import Model
from tests.serve.networks import CLASSES
from tests.serve.running import Client, Reply, infer_body, running

Make = Callable[..., np.ndarray]
INFER = "/v2/models/lenet_28/infer"


@pytest.fixture(scope="module")
def lenet(models_dir: Path) -> Model:
    return Model.load(models_dir / "lenet_28.onnx")


def _binary(images: np.ndarray, **more: Any) -> tuple[bytes, str]:
    tensor = {
        "name": "image",
        "shape": list(images.shape),
        "datatype": "UINT8",
        "parameters": {"binary_data_size": images.nbytes},
    }
    head = orjson.dumps({"inputs": [tensor], **more})
    return head + images.tobytes(), str(len(head))


def _tensors(reply: Reply) -> dict[str, np.ndarray]:
    """The outputs of a binary answer."""
    length = int(reply.headers["inference-header-content-length"])
    head, tail = orjson.loads(reply.body[:length]), reply.body[length:]
    found = {}
    for output in head["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found[output["name"]] = np.frombuffer(tail[:size], np.float32).reshape(output["shape"])
        tail = tail[size:]
    assert not tail
    return found


def test_json_gives_the_models_answer(client: Client, lenet: Model, images: Make) -> None:
    reply = client("POST", INFER, infer_body(images(3), id="a7"))
    answer = lenet.predict(images(3))
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert (reply.json["model_name"], reply.json["model_version"]) == ("lenet_28", lenet.version)
    assert reply.json["id"] == "a7"
    for output, expected in zip(reply.json["outputs"], answer[:2], strict=True):
        assert (output["datatype"], output["shape"]) == ("FP32", [3, 10])
        assert np.array_equal(np.array(output["data"], np.float32).reshape(3, 10), expected)


def test_flat_data_is_the_same_as_nested(client: Client, images: Make) -> None:
    body = infer_body(images(2))
    nested = client("POST", INFER, body)
    body["inputs"][0]["data"] = images(2).ravel().tolist()
    assert client("POST", INFER, body).body == nested.body


def test_binary_both_ways(client: Client, lenet: Model, images: Make) -> None:
    body, length = _binary(images(4), parameters={"binary_data_output": True})
    reply = client("POST", INFER, body, inference_header_content_length=length)
    assert reply.headers["content-type"] == "application/octet-stream"
    answer = lenet.predict(images(4))
    assert np.array_equal(_tensors(reply)["logits"], answer.logits)
    assert np.array_equal(_tensors(reply)["probabilities"], answer.probabilities)


def test_raw_bytes_are_one_image(client: Client, lenet: Model, images: Make) -> None:
    reply = client("POST", INFER, images().tobytes(), inference_header_content_length="0")
    assert np.array_equal(_tensors(reply)["logits"], lenet.predict(images()).logits)


def test_a_binary_question_may_have_a_json_answer(client: Client, images: Make) -> None:
    body, length = _binary(images())
    reply = client("POST", INFER, body, inference_header_content_length=length)
    assert "inference-header-content-length" not in reply.headers
    assert reply.body == client("POST", INFER, infer_body(images())).body


def test_only_the_outputs_asked_for_in_their_order(client: Client, images: Make) -> None:
    outputs = [{"name": "probabilities"}, {"name": "logits", "parameters": {"binary_data": True}}]
    reply = client("POST", INFER, infer_body(images(), outputs=outputs))
    length = int(reply.headers["inference-header-content-length"])
    first, second = orjson.loads(reply.body[:length])["outputs"]
    assert (first["name"], len(first["data"])) == ("probabilities", 10)
    assert (second["name"], second["parameters"]) == ("logits", {"binary_data_size": 40})
    assert len(reply.body) == length + 40


def test_classification_names_the_best_classes(client: Client, lenet: Model, images: Make) -> None:
    outputs = [{"name": "probabilities", "parameters": {"classification": 3}}]
    tensor = client("POST", INFER, infer_body(images(2), outputs=outputs)).json["outputs"][0]
    assert (tensor["datatype"], tensor["shape"]) == ("BYTES", [2, 3])
    best = lenet.predict(images(2)).probabilities[1].argmax()
    value, index, label = tensor["data"][3].split(":")
    assert (int(index), label) == (best, CLASSES[best])
    assert float(value) == pytest.approx(lenet.predict(images(2)).probabilities[1].max(), abs=1e-5)


def test_classification_in_binary_is_length_and_text(client: Client, images: Make) -> None:
    outputs = [{"name": "logits", "parameters": {"classification": 1, "binary_data": True}}]
    reply = client("POST", INFER, infer_body(images(), outputs=outputs))
    tail = reply.body[int(reply.headers["inference-header-content-length"]) :]
    assert int.from_bytes(tail[:4], "little") == len(tail) - 4
    assert tail.count(b":") == 2


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_questions(encoding: str, pack: Callable[[bytes], bytes], client: Client, images: Make) -> None:
    body, length = _binary(images())
    reply = client("POST", INFER, pack(body), inference_header_content_length=length, content_encoding=encoding)
    assert reply.body == client("POST", INFER, infer_body(images())).body


@pytest.mark.parametrize(("encoding", "unpack"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_compressed_answers(encoding: str, unpack: Callable[[bytes], bytes], client: Client, images: Make) -> None:
    body = infer_body(images(16))
    reply = client("POST", INFER, body, accept_encoding=f"br;q=1, {encoding}")
    assert reply.headers["content-encoding"] == encoding
    assert unpack(reply.body) == client("POST", INFER, body).body


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(bytes(2 * limits.TENSOR_BYTES)), 413),
        ("deflate", zlib.compress(bytes(2 * limits.TENSOR_BYTES)), 413),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(b"{}")[:-4], 400),
        ("gzip", gzip.compress(b"{}") + b"more", 400),
        ("br", b"", 415),
    ],
    ids=["gzip bomb", "deflate bomb", "no gzip", "cut off", "trailing bytes", "brotli"],
)
def test_bad_compression_is_refused(encoding: str, body: bytes, status: int, client: Client) -> None:
    reply = client("POST", INFER, body, content_encoding=encoding)
    assert reply.status == status
    assert list(reply.json) == ["error"]


def _changed(**changes: Any) -> dict[str, Any]:
    body = infer_body(np.zeros((1, 1, 28, 28), np.uint8))
    body["inputs"][0] |= changes
    return body


PIXELS = np.zeros((1, 1, 28, 28), int).tolist()
BAD_JSON = {
    "no inputs": {},
    "two inputs": {"inputs": [_changed()["inputs"][0]] * 2},
    "inputs no list": {"inputs": 5},
    "other name": _changed(name="x"),
    "other datatype": _changed(datatype="FP32"),
    "no datatype": _changed(datatype=None),
    "shape too long": _changed(shape=[1, 1, 1, 28, 28]),
    "shape of text": _changed(shape="1,1,28,28"),
    "shape of booleans": _changed(shape=[True, True, 28, 28]),
    "negative shape": _changed(shape=[-1, 1, 28, 28]),
    "no image": _changed(shape=[0, 1, 28, 28], data=[]),
    "too many images": _changed(shape=[limits.BATCH_IMAGES + 1, 1, 28, 28]),
    "huge shape": _changed(shape=[2**62, 1, 28, 28]),
    "shape and data differ": _changed(shape=[2, 1, 28, 28]),
    "no data": _changed(data=None),
    "data is a number": _changed(data=3),
    "data is text": _changed(data="7" * 784),
    "data is an object": _changed(data={}),
    "flat and short": _changed(data=[0] * 783),
    "ragged": _changed(data=[[[*PIXELS[0][0][:27], [0] * 27]]]),
    "too deep": _changed(data=[PIXELS]),
    "float pixels": _changed(data=[0.5] * 784),
    "pixel of 256": _changed(data=[256] * 784),
    "negative pixel": _changed(data=[-1] * 784),
    "huge pixel": _changed(data=[10**19] * 784),
    "null pixel": _changed(data=[None] * 784),
    "text pixel": _changed(data=["0"] * 784),
    "mixed depth": _changed(data=[0, [0] * 783]),
    "binary size without bytes": _changed(parameters={"binary_data_size": 784}),
    "parameters no object": {**_changed(), "parameters": 3},
    "binary_data_output no boolean": {**_changed(), "parameters": {"binary_data_output": 1}},
    "negative timeout": {**_changed(), "parameters": {"timeout": -1}},
    "id no text": {**_changed(), "id": 5},
    "unknown output": {**_changed(), "outputs": [{"name": "nope"}]},
    "output twice": {**_changed(), "outputs": [{"name": "logits"}] * 2},
    "outputs no list": {**_changed(), "outputs": {}},
    "negative classification": {**_changed(), "outputs": [{"name": "logits", "parameters": {"classification": -1}}]},
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_requests_get_400_and_one_line(name: str, client: Client) -> None:
    reply = client("POST", INFER, BAD_JSON[name])
    assert reply.status == 400
    assert list(reply.json) == ["error"]
    assert reply.headers["content-type"] == "application/json"
    assert "\n" not in reply.json["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"inputs": NaN}', b'{"inputs": Infinity}', b"[" * 100_000, b'{"a":' * 50_000],
    ids=["empty", "open", "list", "not utf-8", "NaN", "Infinity", "deep lists", "deep objects"],
)
def test_bad_json_gets_400(body: bytes, client: Client) -> None:
    assert client("POST", INFER, body).status == 400


@pytest.mark.parametrize("length", ["-1", "99999", "x", "", "1e2", "0x10", "²", "9" * 50])
def test_lying_header_lengths_get_400(length: str, client: Client, images: Make) -> None:
    body, _ = _binary(images())
    reply = client("POST", INFER, body, inference_header_content_length=length.encode())
    assert reply.status == 400


@pytest.mark.parametrize("change", [-1, 1])
def test_lying_binary_sizes_get_400(change: int, client: Client, images: Make) -> None:
    body, length = _binary(images())
    body = body + b"\0" if change > 0 else body[:-1]
    assert client("POST", INFER, body, inference_header_content_length=length).status == 400


@pytest.mark.parametrize("count", [783, 785, 1568])
def test_raw_bytes_of_another_size_get_400(count: int, client: Client) -> None:
    assert client("POST", INFER, bytes(count), inference_header_content_length="0").status == 400


def test_unknown_top_level_keys_are_tolerated(client: Client, images: Make) -> None:
    assert client("POST", INFER, infer_body(images(), model_name="x", more=[1])).status == 200


def test_versions(client: Client, lenet: Model, images: Make) -> None:
    infer = f"/v2/models/lenet_28/versions/{lenet.version}/infer"
    assert client("POST", infer, infer_body(images())).status == 200
    assert client("POST", "/v2/models/lenet_28/versions/1/infer", infer_body(images())).status == 404
    assert client("GET", f"/v2/models/lenet_28/versions/{lenet.version}/ready").status == 200
    assert client("GET", "/v2/models/lenet_28/versions/1").status == 404


def test_an_unknown_model_is_404_and_says_which_there_are(client: Client, images: Make) -> None:
    reply = client("POST", "/v2/models/nope/infer", infer_body(images()))
    assert reply.status == 404
    assert "lenet_28" in reply.json["error"]


def test_percent_encoded_names(client: Client) -> None:
    assert client("GET", "/v2/models/lenet%5F28/ready").json == {"name": "lenet_28", "ready": True}


def test_health(client: Client) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert client("GET", path).json == {"live": True, "ready": True}


def test_server_metadata(client: Client) -> None:
    found = client("GET", "/v2").json
    assert found["name"] == "cifra"
    assert "binary_tensor_data" in found["extensions"]


def test_model_metadata_lead_back_to_data_parameters_and_run(client: Client, lenet: Model) -> None:
    found = client("GET", "/v2/models/lenet_28").json
    assert found["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}]
    assert [output["name"] for output in found["outputs"]] == ["logits", "probabilities"]
    assert (found["sha256"], found["versions"]) == (lenet.sha256, [lenet.version])
    assert found["metadata"]["dataset_sha256"] == "0" * 64
    assert found["metadata"]["parameters"] == {"lr": 0.1, "epochs": 2}
    assert found["mlflow"]["filter"] == f"tags.fingerprint = '{'f' * 16}'"


def test_configuration(client: Client) -> None:
    found = client("GET", "/v2/models/mlp/config").json
    assert (found["name"], found["max_batch_size"]) == ("mlp", limits.BATCH_IMAGES)


def test_statistics_count_what_was_answered(client: Client, images: Make) -> None:
    def counted() -> tuple[int, int]:
        found = client("GET", "/v2/models/residual/stats").json["model_stats"][0]
        return found["inference_count"], found["inference_stats"]["success"]["count"]

    before = counted()
    assert client("POST", "/v2/models/residual/infer", infer_body(images(5, 32))).status == 200
    assert counted() == (before[0] + 5, before[1] + 1)
    assert {"lenet_28", "mlp", "residual"} == {
        found["name"] for found in client("GET", "/v2/models/stats").json["model_stats"]
    }


def test_repository_index(client: Client, lenet: Model) -> None:
    found = client("POST", "/v2/repository/index", b"").json
    assert {"name": "lenet_28", "version": lenet.version, "state": "READY", "reason": ""} in found
    assert client("POST", "/v2/repository/index", {"ready": True}).json == found


def test_loading_is_off_unless_asked_for(client: Client) -> None:
    assert client("POST", "/v2/repository/models/mlp/unload", {}).status == 403
    assert client("POST", "/v2/repository/models/mlp/load", {}).status == 403
    assert client("GET", "/v2/models/mlp/ready").status == 200


def test_the_same_bytes_alone_and_among_others(client: Client, images: Make) -> None:
    """What a client gets for its image does not depend on who asks at the same time."""
    many = images(8)
    alone = [client("POST", INFER, infer_body(many[i : i + 1])).json["outputs"] for i in range(8)]
    together = client("POST", INFER, infer_body(many)).json["outputs"]
    for single, i in zip(alone, range(8), strict=True):
        for one, all_of_them in zip(single, together, strict=True):
            assert one["data"] == all_of_them["data"][10 * i : 10 * (i + 1)]


@pytest.mark.parametrize("where", ["request", "input", "output"])
@pytest.mark.parametrize(
    "name", ["shared_memory_region", "shared_memory_byte_size", "sequence_id", "sequence_start", "sequence_end"]
)
def test_what_this_server_does_not_do_is_refused(client: Client, images: Make, where: str, name: str) -> None:
    body = infer_body(images(), outputs=[{"name": "logits"}])
    place = {"request": body, "input": body["inputs"][0], "output": body["outputs"][0]}[where]
    place["parameters"] = {name: 1}
    reply = client("POST", "/v2/models/lenet_28/infer", body)
    assert reply.status == 400
    assert f"'{name}' is not supported" in reply.json["error"]


@pytest.mark.parametrize("parameters", [{"config": "{}"}, {"file:1/model.onnx": "AA=="}])
def test_loading_another_file_or_configuration_is_refused(models_dir: Path, parameters: dict[str, str]) -> None:
    with running(models_dir, model_control=True) as found:
        reply = found.client("POST", "/v2/repository/models/lenet_28/load", {"parameters": parameters})
        assert reply.status == 400
        assert "is not supported" in reply.json["error"]
        assert found.client("POST", "/v2/repository/models/lenet_28/load", {}).status == 200


def test_a_timeout_is_a_number(client: Client, images: Make) -> None:
    body = infer_body(images(), parameters={"timeout": True})
    assert client("POST", "/v2/models/lenet_28/infer", body).status == 400


def test_only_answers_to_infer_are_compressed_under_v2(client: Client, images: Make) -> None:
    large = client("POST", "/v2/models/lenet_28/infer", infer_body(images(40)), accept_encoding="gzip")
    assert large.headers["content-encoding"] == "gzip"
    for path in ("/v2/models/lenet_28", "/v2/models/stats", "/v2/models/lenet_28/config"):
        assert client("GET", path, accept_encoding="gzip").headers["content-encoding"] is None


def test_statistics_count_the_parts_of_an_inference_alike(client: Client, images: Make) -> None:
    client("POST", "/v2/models/lenet_28/infer", infer_body(images()))
    (stats,) = client("GET", "/v2/models/lenet_28/stats").json["model_stats"]
    seen = stats["inference_stats"]
    counts = {seen[part]["count"] for part in ("success", "queue", "compute_input", "compute_infer", "compute_output")}
    assert len(counts) == 1
    assert counts != {0}
