"""LitServe as its documentation has it, with its faster queue."""

import os
import sys

import litserve
import numpy as np
import onnxruntime as ort


class Network(litserve.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options)

    def decode_request(self, request):
        return np.array(request["image"], np.uint8)

    def predict(self, image):
        return self.session.run(["logits", "probabilities"], {"image": image})

    def encode_response(self, output):
        return {"logits": output[0].tolist(), "probabilities": output[1].tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Network(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="error", generate_client_file=False
    )
