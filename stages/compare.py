"""Compare all networks in one table, and name as champion the one with the highest validation accuracy.

python -m stages.compare
"""

from typing import Any

from stages.core.cli import files, params
from stages.core.cli.command import command
from stages.core.cli.paths import METRICS, MODELS, REPORTS, RESULTS, WEIGHTS
from stages.core.data import datasets

Row = dict[str, Any]


def main() -> None:
    names = list(params.load().models)
    rows = [summary(name) for name in names]
    champion = choose(rows)
    helped = datasets.metadata()["validation_from"] == "test"
    files.write_csv(
        REPORTS / "comparison.csv",
        [row | {"champion": row["network"] == champion, "validation_from_test": helped} for row in rows],
    )
    files.write_csv(REPORTS / "validation_loss.csv", curves(names, "validation_loss"))
    files.write_csv(REPORTS / "validation_accuracy.csv", curves(names, "validation_accuracy"))
    files.write_csv(REPORTS / "class_accuracy.csv", class_accuracy(names))
    files.write(REPORTS / "champion_predictions.csv", (RESULTS / champion / "predictions.csv").read_bytes())
    files.write(MODELS / "champion.onnx", (MODELS / f"{champion}.onnx").read_bytes())
    files.write_json(REPORTS / "champion.json", next(row for row in rows if row["network"] == champion))
    print(f"champion by validation accuracy: {champion}")


def summary(name: str) -> Row:
    """One line of the table; accuracy is that on the test set, with its 95 % interval."""
    metrics = files.read_json(METRICS / f"{name}.json")
    model_info = files.read_json(MODELS / f"{name}.json")
    worst = min(metrics["classes"], key=metrics["classes"].get)
    return {
        "network": name,
        "validation_accuracy": metrics["validation"]["accuracy"],
        "validation_loss": metrics["validation"]["loss"],
        **metrics["test"],
        "worst_class": worst,
        "worst_accuracy": metrics["classes"][worst],
        **{key: model_info[key] for key in ("parameters", "macs", "bytes", "epochs", "best_epoch")},
        "fingerprint": model_info["fingerprint"],
        "onnx_sha256": files.sha256((MODELS / f"{name}.onnx").read_bytes()),
    }


def choose(rows: list[Row]) -> str:
    """The champion: never by the test set. The lower validation loss decides a draw."""
    best = max(rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
    return str(best["network"])


def curves(names: list[str], column: str) -> list[Row]:
    """That column of every network's history, side by side; empty where a network stopped earlier."""
    histories = {name: files.read_csv(WEIGHTS / name / "epochs.csv") for name in names}
    longest = max(len(history) for history in histories.values())
    return [
        {"epoch": epoch + 1}
        | {name: history[epoch][column] if epoch < len(history) else "" for name, history in histories.items()}
        for epoch in range(longest)
    ]


def class_accuracy(names: list[str]) -> list[Row]:
    scores = {name: files.read_json(METRICS / f"{name}.json")["classes"] for name in names}
    return [{"class": label} | {name: scores[name][label] for name in names} for label in scores[names[0]]]


if __name__ == "__main__":
    command(main, __doc__)
