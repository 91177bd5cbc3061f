"""Before torch is imported: few threads, since many tests may share few cores; and no setting of the user's own."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NO_PROXY"] = "127.0.0.1"
for setting in ("CIFRA_MIRROR", "MLFLOW_TRACKING_URI"):
    os.environ.pop(setting, None)
