"""Train one network by its recipe in params.yaml, and keep the weights of its best epoch by validation loss.

    python -m stages.train lenet_28

A run that was killed goes on from its last complete epoch and ends in the same bytes as one that was not.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from stages.core.cli import files, params
from stages.core.cli.command import command
from stages.core.cli.params import Params
from stages.core.cli.paths import WEIGHTS
from stages.core.cli.progress import Progress
from stages.core.data import datasets
from stages.core.data.settings import Augment
from stages.core.networks import networks
from stages.core.tracking.live import LiveRun
from stages.core.training import accelerator
from stages.core.training.checkpoint import Checkpoints, training_lock
from stages.core.training.settings import Recipe
from stages.core.training.trainer import Trainer

ROOT = Path(__file__).parents[1]
CODE = ("stages/train.py", "stages/core/data", "stages/core/networks", "stages/core/training")
"""What shapes the weights: of dvc.yaml's stage the dependencies, and of a training the fingerprint."""
PUBLISHED = ("weights.safetensors", "epochs.csv", "steps.csv", "training.json")


def main(network: str) -> None:
    chosen = params.load()
    networks.check(chosen.models)
    record = shaping(network, chosen, datasets.metadata())
    checkpoints = Checkpoints(record["fingerprint"])
    with checkpoints.report_on_interrupt(), training_lock(network) as waited:
        if waited and is_published(WEIGHTS / network, record["fingerprint"]):
            print(f"{network}: the other process has published this very training")
            return
        trainer = train(network, chosen, record, checkpoints)
        publish(WEIGHTS / network, trainer, record)
        checkpoints.delete()


def shaping(network: str, chosen: Params, metadata: dict[str, Any]) -> dict[str, Any]:
    """All that decides the bytes of the weights, and its fingerprint."""
    where = accelerator.resolve(chosen.accelerator)
    compute = chosen.compute_of(network, where)
    record = {
        "network": network,
        "recipe": recorded(chosen.recipe(network), chosen.augment_of(network)),
        "seed": chosen.seed,
        "accelerator": where,
        "threads": chosen.threads,
        "precision": accelerator.resolve_precision(compute.precision, where),
        "layout": compute.layout,
        "compile": compute.compile,
        "torch": torch.__version__,
        "dataset": metadata["dataset"],
        "dataset_sha256": metadata["sha256"],
    }
    return record | {"fingerprint": files.sha256(files.json_bytes(record), *code_texts())[:16]}


def code_texts() -> Iterator[bytes]:
    """Of all files of CODE, whatever the ends of lines are in this checkout."""
    for name in CODE:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield file.read_text(encoding="utf-8").encode()


def recorded(recipe: Recipe, changes: Augment | None) -> dict[str, Any]:
    """The recipe as params.yaml gives it, with the changes of this data set's images alone."""
    kept = recipe.model_dump(exclude_unset=True, exclude_none=True, exclude={"augment"})
    return kept | ({"augment": changes.model_dump(exclude_unset=True)} if changes else {})


def is_published(folder: Path, fingerprint: str) -> bool:
    """Whether the folder is whole (DVC may be deleting it) and of this training."""
    if not all((folder / name).is_file() for name in PUBLISHED):
        return False
    return bool(files.read_json(folder / "training.json")["fingerprint"] == fingerprint)


def train(network: str, chosen: Params, record: dict[str, Any], checkpoints: Checkpoints) -> Trainer:
    accelerator.keep_freed_memory()
    accelerator.make_deterministic(chosen.seed, chosen.threads)
    accelerator.set_precision(record["precision"])
    metadata = datasets.metadata()
    recipe, changes, where = chosen.recipe(network), chosen.augment_of(network), record["accelerator"]
    architecture = recipe.architecture or network
    shape = networks.input_shape(architecture, metadata["shape"])
    built = networks.build(architecture, shape, len(metadata["classes"]), **recipe.layers)
    compute = chosen.compute_of(network, where).model_copy(update={"precision": record["precision"]})
    trainer = Trainer(built.to(where), recipe, chosen.seed, where, compute, changes)
    resumed = checkpoints.restore(trainer)
    with Progress(network, recipe.epochs, resumed) as progress, LiveRun(record) as live:
        trainer.fit(
            datasets.load("train", shape[-1], copies=changes is None),
            datasets.load("validation", shape[-1]),
            progress.step,
            on_epoch=each(checkpoints.save, progress.epoch, live.epoch),
        )
    return trainer


def each(*listeners: Callable[[Trainer], None]) -> Callable[[Trainer], None]:
    def tell(trainer: Trainer) -> None:
        for listener in listeners:
            listener(trainer)

    return tell


def publish(folder: Path, trainer: Trainer, record: dict[str, Any]) -> None:
    history = trainer.history
    weights = {name: tensor.cpu().contiguous() for name, tensor in trainer.best_weights.items()}
    with files.fresh_folder(folder) as fresh:
        files.write(fresh / "weights.safetensors", save(weights))
        files.write_csv(fresh / "epochs.csv", [vars(epoch) for epoch in history.epochs])
        files.write_csv(
            fresh / "steps.csv", [{"step": step, "loss": loss} for step, loss in enumerate(history.steps, 1)]
        )
        epochs = {"epochs": len(history.epochs), "best_epoch": history.best.epoch}
        files.write_json(fresh / "training.json", record | epochs)


if __name__ == "__main__":
    command(main, __doc__)
