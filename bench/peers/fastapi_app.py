"""What one writes by hand: FastAPI, pydantic, ONNX Runtime."""

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
async def predict(question: Question) -> dict[str, list[list[float]]]:
    logits, probabilities = session.run(None, {"image": np.array(question.image, np.uint8)})
    return {"logits": logits.tolist(), "probabilities": probabilities.tolist()}
