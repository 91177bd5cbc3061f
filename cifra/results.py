"""Print the table of results and what to try next.

python -m cifra results
"""

from stages.core.cli import files
from stages.core.cli.command import command
from stages.core.cli.paths import REPORTS

NEXT = """
Next:
  make ui                                        compare the runs in MLflow
  make serve                                     draw a digit, and ask the networks by HTTP
  dvc exp run -S models.lenet_28.lr=0.02         try one change, then: dvc exp show
  dvc plots show --open                          curves, confusion, feature maps"""


def main() -> None:
    rows = files.read_csv(REPORTS / "comparison.csv")
    print(f"\n{'network':<14}{'accuracy':>9}  {'95 % interval':<16}{'worst class':<22}{'parameters':>11}{'MACs':>12}")
    for row in sorted(rows, key=lambda row: -float(row["accuracy"])):
        print(line(row))
    print("* champion: highest accuracy on the validation set; the other figures are of the test set")
    if rows[0]["validation_from_test"] == "True":
        print("! the validation set was taken from the test set, which therefore helped to choose")
    print(NEXT)


def line(row: dict[str, str]) -> str:
    accuracy, low, high, worst = (float(row[name]) for name in ("accuracy", "low", "high", "worst_accuracy"))
    name = row["network"] + (" *" if row["champion"] == "True" else "")
    return (
        f"{name:<14}{accuracy:>9.2%}  {low:.1%} – {high:.1%}".ljust(41)
        + f"{row['worst_class']} ({worst:.1%})".ljust(22)
        + f"{int(row['parameters']):>11,}{int(row['macs']):>12,}"
    )


if __name__ == "__main__":
    command(main, __doc__)
