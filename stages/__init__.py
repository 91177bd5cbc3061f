"""No dependency reports anything to anybody: said to the environment before any of them is imported."""

import os
import signal
import sys

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}

for name, value in QUIET.items():
    os.environ.setdefault(name, value)

# `python -m stages.STAGE` is about to import for seconds: until it listens itself, Ctrl-C ends it without a traceback.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
