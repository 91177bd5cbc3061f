"""KServe's InferenceRESTClient, unmodified, against a port; run by the interpreter of an environment that has it.

Its releases pin older pandas, protobuf and psutil than the pipeline uses, so it cannot live beside them.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


async def main(port: str) -> dict[str, object]:
    base = f"http://127.0.0.1:{port}"
    client = InferenceRESTClient(RESTConfig(protocol="v2", verbose=False))
    image = np.arange(784, dtype=np.uint8).reshape(1, 1, 28, 28)
    found: dict[str, object] = {
        "live": await client.is_server_live(base),
        "ready": await client.is_server_ready(base),
        "model_ready": await client.is_model_ready(base, "lenet_28"),
    }
    for binary in (False, True):
        tensor = InferInput(name="image", shape=[1, 1, 28, 28], datatype="UINT8")
        tensor.set_data_from_numpy(image, binary_data=binary)
        parameters = {"binary_data_output": binary}
        request = InferRequest("lenet_28", [tensor], request_id=f"id-{binary}", parameters=parameters)
        response = await client.infer(base, request, model_name="lenet_28")
        logits = next(output for output in response.outputs if output.name == "logits").as_numpy()
        found[f"binary {binary}"] = [response.id, response.model_name, response.model_version, logits.ravel().tolist()]
    try:
        await client.infer(base, request, model_name="nope")
    except Exception as error:
        found["error"] = str(error)
    await client.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
