"""Which digit does a picture show? The champion in plain Python: numpy, Pillow, onnxruntime, nothing of Cifra.

python examples/champion.py digit.png          light ink on dark, as MNIST has it
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("champion/champion.onnx")
classes = json.loads(session.get_modelmeta().custom_metadata_map["cifra.classes"])
_, _, height, width = session.get_inputs()[0].shape

image = Image.open(sys.argv[1]).convert("L").resize((width, height))
pixels = np.asarray(image, np.uint8)[np.newaxis, np.newaxis]  # [1, 1, height, width]
(probabilities,) = session.run(["probabilities"], {"image": pixels})
best = int(probabilities[0].argmax())
print(f"{classes[best]}: {probabilities[0, best]:.1%}")
