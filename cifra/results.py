"""Print the table of results, what computed them, and what to try next.

cifra results
cifra results --whose      of the results in git: by which arithmetic, beside this machine's
"""

import subprocess
from collections.abc import Iterable
from typing import Annotated, Any

from stages.core.cli import files, params
from stages.core.cli.paths import METRICS, MODEL_INFO, REPORTS, WEIGHTS

NEXT = """
Next:
  make ui                                        compare the runs in MLflow
  make serve                                     draw a digit, and ask the networks by HTTP
  dvc exp run -S models.lenet_28.lr=0.02         try one change, then: dvc exp show
  dvc plots show --open                          curves, confusion, feature maps"""


def main(whose: Annotated[bool, "only whose results are in git, before they are made anew"] = False) -> None:
    if whose:
        print(before())
        return
    rows = files.read_csv(REPORTS / "comparison.csv")
    print(f"\n{'network':<14}{'accuracy':>9}  {'95 % interval':<16}{'worst class':<22}{'parameters':>11}{'MACs':>12}")
    for row in sorted(rows, key=lambda row: -float(row["accuracy"])):
        print(line(row))
    print("* champion: highest accuracy on the validation set; the other figures are of the test set")
    if rows[0]["validation_from_test"] == "True":
        print("! the validation set was taken from the test set, which therefore helped to choose")
    print(after([row["network"] for row in rows]))
    print(NEXT)


def line(row: dict[str, str]) -> str:
    accuracy, low, high, worst = (float(row[name]) for name in ("accuracy", "low", "high", "worst_accuracy"))
    name = row["network"] + (" *" if row["champion"] == "True" else "")
    return (
        f"{name:<14}{accuracy:>9.2%}  {low:.1%} – {high:.1%}".ljust(41)
        + f"{row['worst_class']} ({worst:.1%})".ljust(22)
        + f"{int(row['parameters']):>11,}{int(row['macs']):>12,}"
    )


def before() -> str:
    """Who clones results and makes them anew on another machine should not wonder why git shows changes."""
    infos = [files.read_json(path) for path in sorted(MODEL_INFO.glob("*.json"))]
    recorded = arithmetic(info["computed"] for info in infos if "computed" in info)
    if not recorded:
        return "there are no results in git that say what computed them"
    if recorded == (here := this_machine()):
        return f"the results in git were computed as here ({here}); another processor may still change the last digits"
    return (
        f"the results in git were computed by {recorded}; this machine computes by {here}. Its numbers will differ, "
        "and git will show metrics, model_info, reports and dvc.lock as changed"
    )


def after(networks: list[str]) -> str:
    said = f"computed by {arithmetic(files.read_json(WEIGHTS / name / 'training.json') for name in networks)}"
    kept = ["dvc.lock", str(METRICS), str(MODEL_INFO), str(REPORTS)]
    try:
        differs = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *kept], capture_output=True, check=False)
    except FileNotFoundError:
        return said
    if differs.returncode != 1:
        return said
    return f"{said}; other results are in git: `git commit -a` keeps these, `git checkout {' '.join(kept)}` those"


def arithmetic(records: Iterable[dict[str, Any]]) -> str:
    return " and ".join(sorted({", ".join([r["accelerator"], r["precision"], f"torch {r['torch']}"]) for r in records}))


def this_machine() -> str:
    import torch

    from stages.core.training import accelerator

    chosen = params.load()
    where = accelerator.resolve(chosen.accelerator)
    wanted = {chosen.compute_of(name, where).precision for name in chosen.models}
    precisions = {accelerator.resolve_precision(precision, where) for precision in wanted}
    return arithmetic({"accelerator": where, "precision": one, "torch": torch.__version__} for one in precisions)
