"""Around the pipeline: what is no stage of dvc.yaml. `cifra VERB`, or `python -m cifra VERB`."""
