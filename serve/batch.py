"""Answers for all pictures of folders, into one table: on all cores, and from where an earlier run ended.

What is answered goes to OUT.partial, a line for each picture; when all are, OUT is made of it in one step.
"""

import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from serve.inference.limits import BATCH_IMAGES
from serve.inference.model import Model
from serve.pictures.decode import PrepareError
from serve.pictures.prepare import prepare_for
from serve.pictures.whole import MAX_PIXELS

ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".mpo"}
COLUMNS = ("name", "label", "confidence", "doubt", "error")
FEW = 500  # pictures, for which processes of their own would not pay
ROWS = 10_000  # of a parquet file that are written at a time

Row = dict[str, Any]


class BatchError(ValueError):
    """Why the table cannot be made, in one line."""


def run(model: Model, places: Iterable[str], out: Path, complain: Callable[[str], None]) -> int:
    """How many pictures could not be read. Raises BatchError."""
    if out.suffix not in WRITERS:
        raise BatchError(f"--out {out}: its name must end in {', '.join(WRITERS)}")
    if out.suffix == ".parquet" and not find_spec("pyarrow"):
        raise BatchError("a .parquet file needs pyarrow: `pip install pyarrow`, or name --out .csv or .jsonl")
    if out.exists():
        raise BatchError(f"{out} is there already: remove it, or give another name")
    names = list(dict.fromkeys(_names(places)))
    if not names:
        raise BatchError("no pictures there")
    partial = out.with_name(f"{out.name}.partial")
    done = _resume(partial, model)
    left = [name for name in names if name not in done]
    if done:
        print(f"{len(names) - len(left):,} of {len(names):,} were answered before", file=sys.stderr)
    with partial.open("a", encoding="utf-8") as file:
        for row in _watched(_answers(model, left), len(left)):
            if row["error"]:
                complain(f"{row['name']}: {row['error']}")
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    unread = _publish(partial, out, set(names))
    print(f"{out}: {len(names):,} pictures, {unread:,} without an answer; {model.name}, version {model.version}")
    return unread


def _names(places: Iterable[str]) -> Iterator[str]:
    """Of all pictures in the folders, however deep, in order; and of files as they are."""
    for place in places:
        if not Path(place).is_dir():
            yield place
            continue
        for root, folders, files in os.walk(place):
            folders.sort()
            yield from (str(Path(root, name)) for name in sorted(files) if Path(name).suffix.lower() in ENDINGS)


def _resume(partial: Path, model: Model) -> set[str]:
    """Names that have their answer; a line that a kill cut off is taken away. Raises BatchError."""
    head = json.dumps({"sha256": model.sha256}) + "\n"
    if not partial.exists():
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(head, encoding="utf-8")
        return set()
    with partial.open("r+b") as file:
        if file.readline().decode("utf-8", "replace") != head:
            raise BatchError(f"{partial} was begun by another model: remove it, or give another --out")
        whole, done = file.tell(), set()
        for line in file:
            if not line.endswith(b"\n"):
                break
            done.add(json.loads(line)["name"])
            whole += len(line)
        file.truncate(whole)
    return done


# Answering


def _answers(model: Model, names: list[str]) -> Iterator[Row]:
    """In the order of the names."""
    parts = [names[start : start + BATCH_IMAGES] for start in range(0, len(names), BATCH_IMAGES)]
    if len(names) <= FEW:
        for part in parts:
            yield from _of_part(model, part)
        return
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Not by fork: ONNX Runtime has threads, which do not come along.
    with ProcessPoolExecutor(workers, get_context("spawn"), _load, (str(model.path),)) as pool:
        try:
            for rows in pool.map(_in_worker, parts):
                yield from rows
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_worker: list[Model] = []


def _load(path: str) -> None:
    _worker.append(Model.load(path))


def _in_worker(names: list[str]) -> list[Row]:
    return _of_part(_worker[0], names)


def _of_part(model: Model, names: list[str]) -> list[Row]:
    rows: list[Row] = [dict.fromkeys(COLUMNS) | {"name": name} for name in names]
    readable, images = [], []
    for row in rows:
        try:
            images.append(prepare_for(model, Path(row["name"]).read_bytes(), MAX_PIXELS))
            readable.append(row)
        except PrepareError as error:
            row["error"] = str(error)
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            row["error"] = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if readable:
        answer = model.predict(np.stack(images))
        for row, probabilities, doubt in zip(readable, answer.probabilities, answer.doubts, strict=True):
            best = int(probabilities.argmax())
            row |= {"label": model.classes[best], "confidence": float(f"{probabilities[best]:.6g}"), "doubt": doubt}
    return rows


def _watched(rows: Iterable[Row], count: int) -> Iterator[Row]:
    """With one line on a terminal that says how far it is."""
    started, told = time.monotonic(), 0.0
    for number, row in enumerate(rows, 1):
        yield row
        now = time.monotonic()
        if sys.stderr.isatty() and (now - told > 0.2 or number == count):
            told, rate = now, number / max(now - started, 1e-9)
            left = f"{(count - number) / rate:,.0f} s left" if number < count else "done\n"
            bar = "█" * (20 * number // count)
            print(f"\r{bar:░<20} {number:,} of {count:,} pictures, {rate:,.0f}/s, {left}  ", end="", file=sys.stderr)


# The table


def _publish(partial: Path, out: Path, names: set[str]) -> int:
    """The rows of those names in the format of `out`; how many have an error. Raises BatchError."""
    unread = 0

    def rows() -> Iterator[Row]:
        nonlocal unread
        with partial.open(encoding="utf-8") as file:
            for line in islice(file, 1, None):
                row = json.loads(line)
                if row["name"] in names:
                    unread += row["error"] is not None
                    yield row

    fresh = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        WRITERS[out.suffix](fresh, rows())
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)
    partial.unlink()
    return unread


def _write_csv(path: Path, rows: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _write_jsonl(path: Path, rows: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_parquet(path: Path, rows: Iterator[Row]) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    text = pa.string()
    schema = pa.schema(zip(COLUMNS, (text, text, pa.float64(), pa.bool_(), text), strict=True))
    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(rows, ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema))


WRITERS: dict[str, Callable[[Path, Iterator[Row]], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
