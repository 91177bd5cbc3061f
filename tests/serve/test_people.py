import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
import pytest
from PIL import Image, ImageDraw

from serve.inference import limits
from serve.inference.layers import Inspector
from serve.inference.model import Model
from serve.pictures.prepare import prepare_for
from serve.protocol import uploads
from tests.serve.networks import doubting, save
from tests.serve.running import Client, Reply, Running, running, wait_for

Make = Callable[..., np.ndarray]
EXPLAIN = "/explain?model=lenet_28"
PREDICT = "/predict?model=lenet_28"
RAW = {"content_type": "application/octet-stream"}


@pytest.fixture(scope="module")
def lenet(models_dir: Path) -> Model:
    return Model.load(models_dir / "lenet_28.onnx")


def _picture(kind: str = "PNG", size: tuple[int, int] = (120, 160), **options: Any) -> bytes:
    image = Image.new("L", size, 240)
    ImageDraw.Draw(image).line([(40, 40), (90, 40), (50, 130)], fill=20, width=9)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _multipart(*parts: tuple[str, str, bytes]) -> tuple[bytes, str]:
    body = b""
    for name, filename, content in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
        body += f"--xyz\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return body + b"--xyz--\r\n", "multipart/form-data; boundary=xyz"


def _confidence(model: Model, image: np.ndarray) -> float:
    return float(model.predict(image.reshape(1, 1, 28, 28)).probabilities.max())


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("content_type", ["image/png", "application/x-www-form-urlencoded", ""])
def test_a_picture_as_the_body(kind: str, content_type: str, client: Client, lenet: Model) -> None:
    picture = _picture(kind)
    reply = client("POST", PREDICT, picture, content_type=content_type)
    assert reply.status == 200
    assert (reply.json["model"], reply.json["version"], reply.json["network"]) == (
        "lenet_28",
        lenet.version,
        "lenet_28",
    )
    (prediction,) = reply.json["predictions"]
    probabilities = lenet.predict(prepare_for(lenet, picture)[None]).probabilities[0]
    assert prediction["label"] == lenet.classes[probabilities.argmax()]
    assert prediction["confidence"] == pytest.approx(float(probabilities.max()))
    assert list(prediction["probabilities"]) == lenet.classes
    assert list(prediction["probabilities"].values()) == pytest.approx(probabilities.tolist())


@pytest.mark.parametrize(("novelty", "doubt"), [(2, True), (0.5, False)])
def test_what_looks_like_no_class_is_doubted(novelty: float, doubt: bool, tmp_path: Path) -> None:
    save(tmp_path, "champion", doubting(novelty=novelty))
    with running(tmp_path) as found:
        (prediction,) = found.client("POST", "/predict", _picture()).json["predictions"]
        explained = found.client("POST", "/explain", _picture()).json
        metadata = found.client("GET", "/v2/models/champion").json
    assert (prediction["doubt"], explained["doubt"]) == (doubt, doubt)
    assert explained["layers"][-1]["name"] == "softmax"
    assert [output["name"] for output in metadata["outputs"]] == ["logits", "probabilities"]


def test_a_model_that_cannot_tell_doubts_nothing(client: Client) -> None:
    (prediction,) = client("POST", PREDICT, _picture()).json["predictions"]
    assert prediction["doubt"] is None


def test_several_pictures_as_a_form(client: Client) -> None:
    body, content_type = _multipart(
        ("image", "a.png", _picture()), ("image", "b.jpg", _picture("JPEG")), ("model", "", b"mlp")
    )
    reply = client("POST", "/predict", body, content_type=content_type)
    assert [found["name"] for found in reply.json["predictions"]] == ["a.png", "b.jpg"]
    assert reply.json["model"] == "mlp"


def test_json_with_pixels_and_with_pictures(client: Client, lenet: Model, images: Make) -> None:
    pixels, picture = images()[0, 0], _picture()
    body = {"model": "lenet_28", "images": [pixels.tolist(), base64.b64encode(picture).decode()]}
    reply = client("POST", "/predict", body, content_type="application/json")
    found = [prediction["confidence"] for prediction in reply.json["predictions"]]
    assert found == pytest.approx([_confidence(lenet, pixels), _confidence(lenet, prepare_for(lenet, picture))])


def test_raw_bytes_are_images_already_prepared(client: Client, lenet: Model, images: Make) -> None:
    reply = client("POST", f"{PREDICT}&shape=3,1,28,28", images(3).tobytes(), **RAW)
    found = [prediction["confidence"] for prediction in reply.json["predictions"]]
    assert found == pytest.approx([_confidence(lenet, image) for image in images(3)])


def test_the_size_of_the_model_is_prepared_for(client: Client) -> None:
    reply = client("POST", "/explain?model=residual", _picture())
    assert reply.json["image"]["shape"] == [1, 32, 32]


def test_a_model_must_be_named_where_there_are_several(client: Client) -> None:
    assert client("POST", "/predict", _picture()).status == 404
    assert client("POST", "/predict?model=nope", _picture()).status == 404


BAD: dict[str, tuple[bytes, str, int]] = {
    "text": (b"hello", "text/plain", 415),
    "nothing": (b"", "", 415),
    "gif": (b"GIF89a", "image/gif", 415),
    "empty json": (b"{}", "application/json", 400),
    "no json": (b"{", "application/json", 400),
    "list": (b"[]", "application/json", 400),
    "number": (b'{"image": 5}', "application/json", 400),
    "no base64": (b'{"image": "?"}', "application/json", 400),
    "base64 of text": (b'{"image": "aGVsbG8="}', "application/json", 400),
    "no images": (b'{"images": []}', "application/json", 400),
    "images no list": (b'{"images": {}}', "application/json", 400),
    "few pixels": (b'{"image": [[0, 1], [2, 3]]}', "application/json", 400),
    "ragged pixels": (b'{"image": [[0, 1], [2]]}', "application/json", 400),
    "text pixels": (orjson.dumps({"image": [["0"] * 28] * 28}), "application/json", 400),
    "pixels of 256": (orjson.dumps({"image": [[256] * 28] * 28}), "application/json", 400),
    "half pixels": (orjson.dumps({"image": [[0.5] * 28] * 28}), "application/json", 400),
    "huge pixels": (orjson.dumps({"image": [[1e300] * 28] * 28}), "application/json", 400),
    "deep pixels": (b'{"image": ' + b"[" * 900 + b"]" * 900 + b"}", "application/json", 400),
    "few bytes": (bytes(783), "application/octet-stream", 400),
    "cut off PNG": (_picture()[:200], "image/png", 400),
    "cut off JPEG": (_picture("JPEG")[:300], "image/jpeg", 400),
    "PNG in name only": (b"\x89PNG\r\n\x1a\nnonsense", "image/png", 400),
    "empty paper": (_picture(size=(30, 30)), "image/png", 400),
    "many pixels": (_picture(size=(3000, 3000)), "image/png", 413),
    "no boundary": (b"x", "multipart/form-data", 400),
    "no parts": (b"x", "multipart/form-data; boundary=b", 400),
    "empty part": (b"--b\r\n\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
    "part without picture": (_multipart(("image", "a.png", b"x"))[0], "multipart/form-data; boundary=xyz", 400),
    "many parts": (_multipart(*[("image", "a", b"x")] * 60)[0], "multipart/form-data; boundary=xyz", 413),
    "floats as bytes": (np.eye(28, dtype=np.float32).tobytes(), "application/octet-stream", 400),
    "unknown field": (b'{"image": "aGVsbG8=", "modle": "lenet_28"}', "application/json", 400),
    "a form of curl -d": (b"x=1", "application/x-www-form-urlencoded", 415),
    "model no text": (b'{"model": [], "image": "aGVsbG8="}', "application/json", 404),
}


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize("name", BAD)
def test_bad_uploads_get_one_line(name: str, path: str, client: Client) -> None:
    body, content_type, status = BAD[name]
    reply = client("POST", f"{path}?model=lenet_28", body, content_type=content_type)
    assert reply.status == status
    assert list(reply.json) == ["error"]
    assert "\n" not in reply.json["error"]


def _decoded(reply: Reply) -> dict[str, Any]:
    """A binary explanation with its tensors as arrays."""
    length = int(reply.headers["inference-header-content-length"])
    assert length % 4 == 0
    tail = memoryview(reply.body)[length:]

    def tensors(value: Any) -> Any:
        if isinstance(value, dict) and "offset" in value:
            assert value["offset"] % 4 == 0
            kind = np.uint8 if value["datatype"] == "UINT8" else np.float32
            part = tail[value["offset"] : value["offset"] + value["bytes"]]
            return np.frombuffer(part, kind).reshape(value["shape"])
        if isinstance(value, dict):
            return {name: tensors(inner) for name, inner in value.items()}
        return [tensors(inner) for inner in value] if isinstance(value, list) else value

    return tensors(orjson.loads(reply.body[:length]))


@pytest.mark.parametrize("name", ["lenet_28", "mlp"])
def test_an_explanation_holds_every_layer(name: str, client: Client, images: Make, models_dir: Path) -> None:
    inspector = Inspector(Model.load(models_dir / f"{name}.onnx"))
    reply = client("POST", f"/explain?model={name}", images().tobytes(), **RAW, accept="application/octet-stream")
    found = _decoded(reply)
    expected = inspector.activations(images())
    assert np.array_equal(found["image"], images()[0])
    assert found["probabilities"] == pytest.approx(inspector.model.predict(images()).probabilities[0].tolist())
    for layer, drawn in zip(inspector.layers, found["layers"], strict=True):
        assert (drawn["name"], drawn["kind"], drawn["op"]) == (layer.name, layer.kind, layer.op)
        assert drawn["options"] == layer.options
        assert np.array_equal(drawn["output"], expected[layer.name][0])
        weights = inspector.weights(layer.name)
        assert drawn["weights"].keys() == weights.keys()
        assert all(np.array_equal(drawn["weights"][role], weights[role]) for role in weights)


def test_json_and_binary_say_the_same(client: Client, images: Make) -> None:
    in_json = client("POST", EXPLAIN, images().tobytes(), **RAW).json
    binary = _decoded(client("POST", EXPLAIN, images().tobytes(), **RAW, accept="application/octet-stream"))
    assert in_json["label"] == binary["label"]
    for one, other in zip(in_json["layers"], binary["layers"], strict=True):
        assert np.array_equal(np.array(one["output"]["data"], np.float32), other["output"].ravel())


def test_weights_can_be_left_out(client: Client, images: Make) -> None:
    found = client("POST", f"{EXPLAIN}&weights=false", images().tobytes(), **RAW).json
    assert not any(layer["weights"] for layer in found["layers"])


def test_only_the_layers_asked_for_are_in_the_answer(client: Client, images: Make) -> None:
    body = {"model": "lenet_28", "image": images()[0, 0].tolist(), "weights": False}
    whole = client("POST", "/explain", body, content_type="application/json").json
    some = client("POST", "/explain", body | {"layers": ["relu1", "fc1"]}, content_type="application/json").json
    by_query = client("POST", f"{EXPLAIN}&weights=false&layers=fc1,relu1", images().tobytes(), **RAW).json
    assert some == by_query
    assert some["layers"] == [layer for layer in whole["layers"] if layer["name"] in ("relu1", "fc1")]
    assert some["probabilities"] == whole["probabilities"]


@pytest.mark.parametrize("layers", ["nope", "conv1,", [1], 5, {}])
def test_layers_that_do_not_exist_get_400(layers: Any, client: Client, images: Make) -> None:
    body = {"model": "lenet_28", "image": images()[0, 0].tolist(), "layers": layers}
    assert client("POST", "/explain", body, content_type="application/json").status == 400


def test_a_unit_can_be_switched_off(client: Client, images: Make) -> None:
    pixels = images()[0, 0].tolist()
    body = {"model": "lenet_28", "image": pixels, "weights": False, "ablate": [{"layer": "relu1", "unit": 2}]}
    by_json = client("POST", "/explain", body, content_type="application/json").json
    by_query = client("POST", f"{EXPLAIN}&weights=false&ablate=relu1:2", images().tobytes(), **RAW).json
    assert by_json == by_query
    layers = {layer["name"]: layer for layer in by_json["layers"]}
    assert layers["relu1"]["ablated"] == [2]
    assert not np.array(layers["relu1"]["output"]["data"]).reshape(6, -1)[2].any()
    whole = client("POST", f"{EXPLAIN}&weights=false", images().tobytes(), **RAW).json
    assert whole["probabilities"] != by_json["probabilities"]
    assert layers["softmax"]["output"]["data"] == by_json["probabilities"]


@pytest.mark.parametrize("ablate", ["nope:0", "relu1:6", "relu1:-1", "relu1:x", "relu1", ":", "relu1:²", "image:0"])
def test_units_that_do_not_exist_get_400(ablate: str, client: Client, images: Make) -> None:
    assert client("POST", f"{EXPLAIN}&ablate={quote(ablate)}", images().tobytes(), **RAW).status == 400


@pytest.mark.parametrize("ablate", [5, [5], [{}], [{"layer": "relu1"}], [{"layer": 1, "unit": 1}], [{}] * 300])
def test_bad_ablations_get_400(ablate: Any, client: Client, images: Make) -> None:
    body = {"model": "lenet_28", "image": images()[0, 0].tolist(), "ablate": ablate}
    assert client("POST", "/explain", body, content_type="application/json").status == 400


def test_only_one_image_is_explained(client: Client, images: Make) -> None:
    assert client("POST", EXPLAIN, images(2).tobytes(), **RAW).status == 400


def test_workers_have_a_bounded_queue(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.app.endpoints.jobs, "count", limits.WORKER_QUEUE)
    reply = server.client("POST", PREDICT, _picture())
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")


def test_the_log_has_no_image(server: Running) -> None:
    server.client("POST", PREDICT, _picture(), x_request_id="look-for-me")
    wait_for(lambda: b"look-for-me" in server.log.getvalue())
    (line,) = [orjson.loads(line) for line in server.log.getvalue().splitlines() if b"look-for-me" in line]
    assert (line["method"], line["path"], line["status"], line["model"]) == ("POST", "/predict", 200, "lenet_28")
    assert len(str(line)) < 500


def test_more_raw_images_than_a_request_takes_are_refused(client: Client) -> None:
    count = limits.BATCH_IMAGES + 1
    assert client("POST", f"{PREDICT}&shape={count},1,28,28", bytes(784 * count), **RAW).status == 413


def test_curl_d_is_told_how_curl_sends_a_picture(client: Client) -> None:
    reply = client("POST", PREDICT, b"x", content_type="application/x-www-form-urlencoded")
    assert "--data-binary @FILE" in reply.json["error"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\n".join(text[start : start + 76] for start in range(0, len(text), 76)),
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: f"data:image/png;base64,{text}",
    ],
    ids=["line breaks", "URL-safe", "no padding", "data URL"],
)
def test_base64_is_read_as_it_is_written_elsewhere(client: Client, change: Callable[[str], str]) -> None:
    text = base64.b64encode(_picture()).decode()
    answers = [
        client("POST", PREDICT, {"image": one}, content_type="application/json").json for one in (text, change(text))
    ]
    assert answers[0] == answers[1]
    assert "predictions" in answers[0]


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="model"',
        "form-data; name=model",
        'FORM-DATA; NAME="model"',
        "form-data; name*=utf-8''model",
        'form-data;name="model"',
    ],
)
def test_a_form_is_read_however_it_is_written(client: Client, disposition: str) -> None:
    head = f"--b\r\ncontent-DISPOSITION: {disposition}\r\n\r\nlenet_28\r\n--b\r\nContent-Type: image/png\r\n"
    head += "Content-Disposition: form-data; name=x; filename*=UTF-8''uno%20%C3%B1.png\r\n\r\n"
    body = head.encode() + _picture() + b"\r\n--b--\r\n"
    reply = client("POST", "/predict", body, content_type='multipart/form-data; boundary="b"')
    assert reply.json["model"] == "lenet_28", reply.json
    assert reply.json["predictions"][0]["name"] == "uno ñ.png"


def test_every_byte_of_a_picture_in_a_form_arrives() -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40 + b"\r\n\n\r--x\r\n"
    body, content_type = _multipart(("image", "a.png", content))
    assert uploads.read(body, content_type, "").items == [("a.png", content)]


def test_a_jpeg_of_several_pictures_is_read(client: Client) -> None:
    """As phones write them: format MPO."""
    out = io.BytesIO()
    first = Image.open(io.BytesIO(_picture())).convert("RGB")
    first.save(out, "MPO", save_all=True, append_images=[first])
    assert client("POST", PREDICT, out.getvalue()).status == 200


def test_eight_bits_in_a_png_of_sixteen_are_read(client: Client) -> None:
    grey = np.asarray(Image.open(io.BytesIO(_picture())).convert("L"))
    found = []
    for values in (grey, grey.astype(np.uint16), grey.astype(np.uint16) * 257):
        out = io.BytesIO()
        Image.fromarray(values).save(out, "PNG")
        found.append(client("POST", PREDICT, out.getvalue()).json["predictions"][0]["label"])
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        (np.zeros((28, 28), np.uint8), "empty"),
        (np.full((28, 28), 9, np.uint8), "empty"),
        (np.eye(28, dtype=np.uint8), "0 and 1"),
        (255 - 255 * np.eye(28, dtype=np.uint8), "dark ink on a light ground"),
    ],
)
@pytest.mark.parametrize("form", ["bytes", "JSON"])
def test_pixels_are_held_against_what_a_picture_would_be_held_against(
    client: Client, pixels: np.ndarray, wanted: str, form: str
) -> None:
    body = pixels.tobytes() if form == "bytes" else orjson.dumps({"image": pixels.tolist()})
    kind = "application/octet-stream" if form == "bytes" else "application/json"
    reply = client("POST", PREDICT, body, content_type=kind)
    assert reply.status == 400
    assert wanted in reply.json["error"]


def test_what_a_network_makes_of_an_empty_image_may_be_asked(client: Client) -> None:
    assert client("POST", EXPLAIN, bytes(784), **RAW).status == 200
