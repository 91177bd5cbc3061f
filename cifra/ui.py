"""Show the runs of the data set in MLflow at http://127.0.0.1:5000, for this machine alone. Ends with Ctrl-C.

python -m cifra ui          or, on another port: CIFRA_UI_PORT=5001 python -m cifra ui
"""

import os
import socket
import sys

from stages.core.cli import params
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.tracking import store

SAFE = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def main() -> None:
    if store.address().startswith(("http://", "https://")):
        print(f"the runs are at {link(store.address())}")
        return
    port = os.environ.get("CIFRA_UI_PORT", "5000")
    check_free(port)
    print(f"the runs are at {link(f'http://127.0.0.1:{port}')}", flush=True)
    os.environ.update(SAFE)
    server = ["server", "--host", "127.0.0.1", "--port", port, "--workers", "1", "--backend-store-uri", store.address()]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *server])


def link(server: str) -> str:
    """To the runs of the data set: by itself MLflow opens on a page for other work."""
    try:
        client = store.connect()
        experiment = store.experiment(client, params.load().dataset)
        has_view = store.VIEW_TAG in client.get_experiment(experiment).tags
    except store.troubles() as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"MLflow's store {store.address()} does not work ({reason}): start it, or mend its address"
        ) from None
    view = f"&viewStateShareKey={store.VIEW}" if has_view else ""
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?workflowType=machine_learning{view}"


def check_free(port: str) -> None:
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UserError(f"CIFRA_UI_PORT is {port!r}: it should be a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError:
            raise UserError(f"port {port} is taken: choose another, CIFRA_UI_PORT=5001 make ui") from None


if __name__ == "__main__":
    command(main, __doc__)
