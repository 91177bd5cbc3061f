"""Around the pipeline: what is no stage of dvc.yaml. `python -m cifra VERB`."""

import stages  # noqa: F401  turns off the telemetry of all that is imported after it
