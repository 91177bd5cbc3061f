"""Compare all networks in one table and its figures, and name a champion by the validation set.

    python -m stages.compare

Whether a network differs from the champion is told from the images that only one of the two has right.
What `models` in params.yaml names no more is deleted first: DVC keeps the outputs of stages that are gone.
"""

import shutil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.cli import files, params, paths
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.data import datasets
from stages.core.evaluation import differences
from stages.core.evaluation.differences import Difference
from stages.core.figures import style
from stages.core.figures.overview import overview
from stages.core.figures.words import Translator

Row = dict[str, Any]
PER_NETWORK = (paths.WEIGHTS, paths.MODELS, paths.MODEL_INFO, paths.METRICS, paths.RESULTS, paths.FIGURES)


def main() -> None:
    names = list(params.load().models)
    remove_others(names)
    rows = [summary(name) for name in names]
    champion = choose(rows)
    from_test = datasets.metadata()["validation_from"] == "test"
    files.write_csv(
        paths.REPORTS / "comparison.csv",
        [row | {"champion": row["network"] == champion, "validation_from_test": from_test} for row in rows],
    )
    against = compared(names, champion)
    files.write_csv(paths.REPORTS / "differences.csv", against)
    files.write_csv(paths.REPORTS / "training.csv", epochs(names))
    files.write(paths.REPORTS / "predictions.csv", (paths.RESULTS / champion / "predictions.csv").read_bytes())
    files.write(paths.CHAMPION / "champion.onnx", (paths.MODELS / f"{champion}.onnx").read_bytes())
    files.write_json(paths.REPORTS / "champion.json", next(row for row in rows if row["network"] == champion))
    draw(names)
    print(f"champion by the validation set: {champion}. On the test images, beside it:")
    for row in against:
        if row["network"] != champion:
            print(f"  {row['network']}: {row['words']}")


def draw(names: list[str]) -> None:
    settings, metadata = params.load(), datasets.metadata()
    rows = files.read_csv(paths.REPORTS / "comparison.csv")
    image = settings.render.test_images[0]  # which `render` has found in the test set
    figures = overview(names, metadata, rows, image, Translator(settings.language))
    style.publish(paths.REPORTS / "figures", figures)


def remove_others(names: list[str]) -> None:
    """Else the files of a network that was removed would stay in the folders that later stages depend on."""
    for folder in PER_NETWORK:
        for path in folder.glob("[!.]*"):
            if path.name.partition(".")[0] not in names:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def summary(name: str) -> Row:
    """One line of the table; accuracy is that on the test set, with its 95 % interval."""
    metrics = files.read_json(paths.METRICS / f"{name}.json")
    model_info = files.read_json(paths.MODEL_INFO / f"{name}.json")
    worst = min(metrics["classes"], key=metrics["classes"].get)
    untested = set(datasets.metadata()["classes"]) - set(metrics["classes"])
    return {
        "network": name,
        "validation_accuracy": metrics["validation"]["accuracy"],
        "validation_loss": metrics["validation"]["loss"],
        "robustness": metrics.get("robustness", {}).get("accuracy", ""),
        **metrics["test"],
        "worst_class": worst,
        "worst_accuracy": metrics["classes"][worst],
        "classes_without_images": " ".join(sorted(untested)),
        **{key: model_info[key] for key in ("parameters", "macs", "bytes", "epochs", "best_epoch")},
        "fingerprint": model_info["fingerprint"],
        "onnx_sha256": files.sha256((paths.MODELS / f"{name}.onnx").read_bytes()),
    }


def choose(rows: list[Row]) -> str:
    """The champion: never by the test set. The lower validation loss decides a draw.

    A validation set too small to tell networks apart has augmented copies, and there the accuracy on those chooses.
    """
    best = max(rows, key=lambda row: (row["robustness"] or row["validation_accuracy"], -row["validation_loss"]))
    return str(best["network"])


def compared(names: list[str], champion: str) -> list[Row]:
    """One line per network: how it differs from the champion, which itself is not compared."""
    seed, right = params.load().seed, answers(names)
    found = {name: differences.between(right[name], right[champion], seed) for name in names}
    others = [name for name in names if name != champion]
    corrected = dict(zip(others, differences.holm([found[name].p for name in others]), strict=True))
    return [{"network": name} | judged(found[name], corrected.get(name), len(others)) for name in names]


def answers(names: list[str]) -> dict[str, NDArray[np.bool_]]:
    """Which test images each network has right: the same images, or nothing can be compared."""
    tables = {name: files.read_csv(paths.RESULTS / name / "predictions.csv") for name in names}
    images = {name: [(row["image"], row["actual"]) for row in table] for name, table in tables.items()}
    for name in names:
        if images[name] != images[names[0]]:
            raise UserError(
                f"{name} and {names[0]} answered different test images, which do not compare: "
                "run `dvc repro`, which evaluates both on the same"
            )
    return {name: np.array([row["actual"] == row["predicted"] for row in table]) for name, table in tables.items()}


def judged(found: Difference, p_holm: float | None, tests: int) -> Row:
    """`p_holm` is None of the champion itself."""
    if p_holm is None:
        empty = dict.fromkeys(("difference", "low", "high", "p", "p_holm", "detectable"), "")
        return {"images": found.images, "only_champion": 0, "only_network": 0, **empty, "verdict": "", "words": ""}
    seen = differences.detectable(found.images, found.only_other + found.only_network, tests)
    verdict = differences.verdict(found, p_holm)
    return {
        "images": found.images,
        "only_champion": found.only_other,
        "only_network": found.only_network,
        **{name: getattr(found, name) for name in ("difference", "low", "high", "p")},
        "p_holm": p_holm,
        "detectable": "" if seen is None else seen,
        "verdict": verdict,
        "words": differences.words(found, verdict, seen),
    }


def epochs(names: list[str]) -> list[Row]:
    """Every epoch of every network, one below the other."""
    return [{"network": name} | row for name in names for row in files.read_csv(paths.WEIGHTS / name / "epochs.csv")]


if __name__ == "__main__":
    command(main, __doc__)
