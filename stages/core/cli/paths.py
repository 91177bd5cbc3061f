"""Where the stages find and leave their files, below the root of the repository."""

from pathlib import Path

RAW = Path("data/raw")
SPLIT = Path("data/split")
WEIGHTS = Path("weights")
MODELS = Path("models")
METRICS = Path("metrics")
RESULTS = Path("results")
REPORTS = Path("reports")
MODEL_INFO = Path("model_info")
CHAMPION = Path("champion")
SAMPLES = Path("samples")
INT8 = Path("int8")
FIGURES = Path("figures")
