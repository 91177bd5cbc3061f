"""A BentoML service."""

import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Network:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options)

    @bentoml.api
    def predict(self, image: np.ndarray) -> dict[str, list]:
        logits, probabilities = self.session.run(["logits", "probabilities"], {"image": image.astype(np.uint8)})
        return {"logits": logits.tolist(), "probabilities": probabilities.tolist()}
