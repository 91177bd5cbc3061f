"""Writes the network as an MLflow model: `python mlflow_model.py DIRECTORY`."""

import os
import sys

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

signature = ModelSignature(
    Schema([TensorSpec(np.dtype(np.uint8), (-1, 1, 28, 28), "image")]),
    Schema([TensorSpec(np.dtype(np.float32), (-1, 10), name) for name in ("logits", "probabilities")]),
)
options = {"intra_op_num_threads": 1}
mlflow.onnx.save_model(onnx.load(os.environ["MODEL"]), sys.argv[1], signature=signature, onnx_session_options=options)
