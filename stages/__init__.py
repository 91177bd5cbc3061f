"""What has to be in the environment before any library is imported."""

import os

QUIET = {
    # No dependency reports anything to anybody.
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    # A thread that waits sleeps. Spinning made a training five times slower beside one other busy process.
    "OMP_WAIT_POLICY": "passive",
}

for name, value in QUIET.items():
    os.environ.setdefault(name, value)
