"""What holds before any dependency is imported: none reports anything to anybody, and a stage can be ended."""

import gc
import os
import signal
import sys

IS_STAGE = sys.argv[:1] == ["-m"]  # `python -m stages.STAGE`, which is about to import for seconds

if IS_STAGE:
    gc.disable()  # torch alone makes a million objects that stay: looking for garbage meanwhile takes a fifth longer

if IS_STAGE and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it listens itself, Ctrl-C ends it without a traceback

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}

for name, value in QUIET.items():
    os.environ.setdefault(name, value)

if IS_STAGE:
    from stages.core.cli import processes

    processes.end_with_dvc()
