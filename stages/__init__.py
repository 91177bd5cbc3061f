"""What holds before any dependency is imported: none reports anything to anybody, and a stage can be ended."""

import os
import sys

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}

for name, value in QUIET.items():
    os.environ.setdefault(name, value)

if sys.argv[:1] == ["-m"]:  # `python -m stages.STAGE`, which is about to import for seconds
    from stages.core import processes

    processes.begin()
