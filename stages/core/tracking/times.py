"""How long a training took, kept beside its checkpoints: DVC tracks only what is the same from run to run."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stages.core.cli import files
from stages.core.cli.errors import UserError
from stages.core.tracking import store

TIMES = Path(".checkpoints/times")


def now_ms() -> int:
    return int(time.time() * 1000)


@dataclass
class Times:
    """`start` and `end` in milliseconds since 1970, as MLflow has them; the seconds of each epoch."""

    start: int
    end: int
    epochs: list[float] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float]:
        total = sum(self.epochs)
        return {"train_seconds": round(total, 1), "epoch_seconds": round(total / len(self.epochs), 2)}


def path(fingerprint: str) -> Path:
    return store.root() / TIMES / f"{fingerprint}.json"


def read(fingerprint: str, epochs: int) -> Times | None:
    """The times of that training if all its epochs were timed here, and not in another clone."""
    try:
        times = Times(**files.read_json(path(fingerprint)))
        return times if len(times.epochs) == epochs > 0 else None
    except (UserError, TypeError):
        return None


class Stopwatch:
    """Times the epochs of a training, which it never fails. One that goes on has the earlier epochs of its file."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.times = Times(now_ms(), now_ms())
        self.last = time.monotonic()

    def epoch(self, number: int) -> None:
        if not self.times.epochs:
            self.times = read(self.fingerprint, number - 1) or self.times
        now = time.monotonic()
        self.times.epochs.append(now - self.last)
        self.times.end, self.last = now_ms(), now
        try:
            files.write_json(path(self.fingerprint), asdict(self.times))
        except UserError:
            return
