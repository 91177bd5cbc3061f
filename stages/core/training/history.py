"""What a training notes on the way, and which of its epochs is the best."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Epoch:
    """Means over the images of an epoch. Those of training are taken while the weights still move, of the loss that is
    trained by, on changed images; the validation loss is plain cross-entropy."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass
class History:
    """`steps` holds the loss of every batch; `best` is the epoch with the lowest validation loss."""

    epochs: list[Epoch] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    @property
    def best(self) -> Epoch:
        return min(self.epochs, key=lambda epoch: epoch.validation_loss)

    def has_stalled(self, patience: int) -> bool:
        return 0 < patience <= len(self.epochs) - self.best.epoch

    def dump(self) -> str:
        return json.dumps({"epochs": [asdict(epoch) for epoch in self.epochs], "steps": self.steps})

    @classmethod
    def parse(cls, text: str) -> "History":
        held = json.loads(text)
        return cls([Epoch(**epoch) for epoch in held["epochs"]], held["steps"])
