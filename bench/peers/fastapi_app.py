"""What one writes by hand: FastAPI, pydantic, ONNX Runtime; plainly, and as fast as it goes."""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options)
app = FastAPI()


class Question(BaseModel):
    image: list[list[list[list[int]]]]


@app.post("/predict")
def predict(question: Question) -> dict[str, list[list[float]]]:
    """In a thread, as FastAPI's documentation has it for work that takes time."""
    logits, probabilities = session.run(["logits", "probabilities"], {"image": np.array(question.image, np.uint8)})
    return {"logits": logits.tolist(), "probabilities": probabilities.tolist()}


@app.post("/predict_in_loop")
async def predict_in_loop(question: Question) -> dict[str, list[list[float]]]:
    """In the event loop, which waits meanwhile."""
    return predict(question)
