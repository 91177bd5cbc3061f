"""A repository after its pipeline ran, made by hand: small files, dvc.lock, and DVC's cache."""

import json
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cifra import lockfile

OUTS = {
    "download": ["data/raw"],
    "split": ["data/split"],
    "train@one": ["weights/one"],
    "export@one": ["model_info/one.json", "models/one.onnx"],
    "evaluate@one": ["metrics/one.json", "results/one"],
    "compare": ["champion/champion.onnx", "reports/champion.json", "reports/comparison.csv"],
    "render": ["figures"],
}
DEPS = {
    "split": ["data/raw"],
    "train@one": ["data/split"],
    "export@one": ["data/split", "weights/one"],
    "evaluate@one": ["data/split", "models/one.onnx"],
    "compare": ["metrics/one.json", "models/one.onnx"],
    "render": ["data/split", "weights/one"],
}
FILES = [
    "data/raw/dataset.json",
    "data/raw/images.safetensors",
    "data/split/dataset.json",
    "data/split/images.safetensors",
    "weights/one/epochs.csv",
    "weights/one/training.json",
    "weights/one/weights.safetensors",
    "model_info/one.json",
    "models/one.onnx",
    "champion/champion.onnx",
    "metrics/one.json",
    "results/one/predictions.csv",
    "reports/champion.json",
    "reports/comparison.csv",
    "figures/one/año.png",
    "figures/samples.png",
]


def make() -> None:
    for number, name in enumerate(FILES):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(bytes([number]) * 100)
    record()


def record(commands: dict[str, str] | None = None, params: dict[str, Any] | None = None) -> None:
    """Write dvc.lock of what lies here."""
    stages = {}
    for name, outs in OUTS.items():
        outs = [path for path in outs if Path(path).exists()]
        if outs:
            stages[name] = entry(name, outs) | {"cmd": (commands or {}).get(name, "python -m stages.none")}
            stages[name]["params"] = {"params.yaml": (params or {}).get(name, {})}
    with lockfile.LOCK.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, file)


def entry(name: str, outs: list[str]) -> dict[str, Any]:
    paths = {"deps": [path for path in DEPS.get(name, []) if Path(path).exists()], "outs": outs}
    return {
        kind: [{"path": path, "hash": "md5", "md5": lockfile.md5_of(Path(path))} for path in held]
        for kind, held in paths.items()
    }


def fill_cache() -> None:
    """As `dvc repro` leaves it."""
    for outs in OUTS.values():
        for path in map(Path, outs):
            keep(path)


def keep(path: Path) -> None:
    files = [path]
    if path.is_dir():
        listing = lockfile.listing(path)
        rows = [{"md5": listing[name], "relpath": name} for name in sorted(listing)]
        digest = lockfile.md5_of_listing(listing)
        lockfile.cached(digest).parent.mkdir(parents=True, exist_ok=True)
        lockfile.cached(digest).write_text(json.dumps(rows))
        files = [path / name for name in listing]
    for file in files:
        copy = lockfile.cached(lockfile.md5_of_file(file))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def flip_a_bit(path: Path) -> None:
    """The last bit of the middle byte; size and name stay."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
