"""No dependency reports anything to anybody: said to the environment before any of them is imported."""

import os

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}

for name, value in QUIET.items():
    os.environ.setdefault(name, value)
