"""The tables of the documents, made from the files that commands wrote; each takes "en" or "es"."""

from pathlib import Path
from statistics import fmean, median
from typing import Any

from bench.serve_report import Result, times_as_fast
from bench.words import WORDS
from stages.core.cli import files

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"


def own_hands(language: str) -> str:
    """What the embedded digits are worth: with hands that the network knows, and with all others."""
    found = files.read_json(RESULTS / "ladder.json")
    best = list(found["rungs"].values())[-1]
    shares = {name: percent(best[key], language, 1) for name, key in (("own", "digits"), ("others", "mean"))}
    return WORDS[language]["own_hands"].format(**shares, seeds=found["seeds"]) + "\n"


def digits(language: str) -> str:
    rows = files.read_csv(ROOT / "reports" / "comparison.csv")
    seed = files.read_json(RESULTS / "courses.json")["seed"]
    lines = [WORDS[language]["digits"], "|---|---:|---:|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: -float(row["accuracy"])):
        star = " ★" if row["champion"] == "True" else ""
        worst = f"{row['worst_class']} ({percent(row['worst_accuracy'], language)})"
        sizes = [thousands(row[name], language) for name in ("parameters", "macs")]
        cells = [f"`{row['network']}`{star}", percent(row["accuracy"], language), span(row, language), worst, *sizes]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", WORDS[language]["digits_note"].format(seed=seed), ""])


def repro(language: str) -> str:
    """How long the whole pipeline takes."""
    found = files.read_json(RESULTS / "repro.json")
    lines = [WORDS[language]["repro"], "|---|---:|---:|---:|---:|"]
    for row in found["rows"]:
        seconds = [local(f"{each:.0f}", language) for each in (row["cold"], row["stages"]["train"])]
        idle = local(f"{row['idle']:.1f}", language)
        lines.append(f"| `{row['dataset']}` | {row['networks']} | {' | '.join([*seconds, idle])} |")
    return "\n".join([*lines, "", WORDS[language]["repro_note"].format(**found["machine"]), ""])


def fanout(language: str) -> str:
    """Many trainings at once beside one after another."""
    found = files.read_json(RESULTS / "fanout.json")
    one, many = (local(f"{each:.0f}", language) for each in found["seconds"].values())
    numbers = {"ratio": local(f"{found['ratio']:.2f}", language), "load": local(str(found["load"]), language)}
    told = found["machine"] | numbers | {"one": one, "many": many, "networks": len(found["networks"])}
    return WORDS[language]["fanout"].format(**told) + "\n"


def courses(language: str) -> str:
    found = files.read_json(RESULTS / "courses.json")
    lines = [WORDS[language]["courses"], "|---|---:|---:|"]
    for pair in zip(*found["results"].values(), strict=True):
        cells = [f"{percent(row['accuracy'], language)} ({span(row, language)})" for row in pair]
        lines.append(f"| `{pair[0]['network']}` | {' | '.join(cells)} |")
    lines += ["", WORDS[language]["courses_note"].format(**found), ""]
    return "\n".join(lines + after_epochs(found, language))


def after_epochs(found: dict[str, Any], language: str) -> list[str]:
    lines = [f"| {WORDS[language]['after']} | 1 | 2 | 3 | 4 | 5 |", "|---|---:|---:|---:|---:|---:|"]
    for network, seen in found["seen"].items():
        ours = found["curves"][network][: len(seen)]
        for name, values in ((f"`{network}`, {WORDS[language]['course']}", seen), (f"`{network}`, Cifra", ours)):
            lines.append(f"| {name} | {' | '.join(percent(value, language, 1) for value in values)} |")
    return [*lines, ""]


def train(language: str) -> str:
    """Our loop beside the notebooks', network by network."""
    found = files.read_json(RESULTS / "train.json")
    lines = [WORDS[language]["train"], "|---|---|---:|---:|---:|---:|---:|---:|"]
    for network, row in found["networks"].items():
        seconds = [local(f"{median(row['seconds'][loop]):.2f}", language) for loop in ("notebook", "cifra")]
        ratio = local(f"{row['ratio']:.1f} ×", language)
        accuracy = [percent(row[name], language) for name in ("difference", "noise")]
        share = percent(row["share_of_matmul"], language, 0)
        lines.append(f"| `{network}` | {row['precision']} | {' | '.join([*seconds, ratio, share, *accuracy])} |")
    rounds = min(len(row["seconds"]["cifra"]) for row in found["networks"].values())
    mean = local(str(found["geometric_mean"]), language)
    note = WORDS[language]["train_note"].format(**found["machine"], rounds=rounds, geometric_mean=mean)
    return "\n".join([*lines, "", note, ""])


def gpu(language: str) -> str:
    """Our loop beside the notebooks' on a GPU."""
    found = files.read_json(RESULTS / "gpu.json")
    loops = ("notebook", "notebook, 8 workers", "eager", "graph")
    lines = [WORDS[language]["gpu"], "|---|---|---:|---:|---:|---:|---:|---:|"]
    for network, row in found["epoch"].items():
        seconds = [local(f"{row[loop]:.3f}", language) for loop in loops]
        ratio = local(f"{row['ratio']:.1f} ×", language)
        share = percent(row["kernels"], language, 0)
        lines.append(f"| `{network}` | {row['precision']} | {' | '.join([*seconds, ratio, share])} |")
    whole = []
    for network, runs in found["whole"].items():
        taken = local(f"{fmean(run['seconds'] for run in runs):.2f} s", language)
        right = percent(fmean(run["accuracy"] for run in runs), language)
        whole.append(f"`{network}` {taken}, {right} (n = {len(runs)})")
    mean = local(str(found["geometric_mean"]), language)
    note = WORDS[language]["gpu_note"].format(**found | {"whole": "; ".join(whole), "geometric_mean": mean})
    return "\n".join([*lines, "", note, ""])


def precision(language: str) -> str:
    """What bf16 costs in accuracy."""
    found = files.read_json(RESULTS / "precision.json")
    lines = [WORDS[language]["precision"], "|---|---:|---:|---:|---:|---:|"]
    for network, row in found["networks"].items():
        means = [percent(fmean(row["accuracy"][each]), language) for each in ("fp32", "bf16")]
        costs = [percent(row[name], language) for name in ("difference", "noise")]
        lines.append(f"| `{network}` | {' | '.join([*means, *costs])} | {len(row['accuracy']['bf16'])} |")
    return "\n".join([*lines, "", WORDS[language]["precision_note"], ""])


def strength(language: str) -> str:
    """Our own networks over their seeds."""
    lines = [WORDS[language]["strength"], "|---|---|---:|---:|---:|"]
    for name, row in files.read_json(RESULTS / "strength.json")["trained"].items():
        network, dataset = name.split()
        spread = f" ± {percent(row['deviation'], language)}" if len(row["accuracy"]) > 1 else ""
        accuracy = percent(row["mean"], language) + spread
        seconds = local(f"{median(row['seconds']):.1f}", language)
        lines.append(f"| `{network}` | `{dataset}` | {accuracy} | {len(row['accuracy'])} | {seconds} |")
    return "\n".join([*lines, "", WORDS[language]["strength_note"], ""])


def ladder(language: str) -> str:
    """What each ingredient of best_cnn adds."""
    found = files.read_json(RESULTS / "ladder.json")
    lines = [WORDS[language]["ladder"], "|---|---:|---:|---:|"]
    for name, row in found["rungs"].items():
        mnist = f"{percent(row['mean'], language, 1)} ± {percent(row['deviation'], language, 1)}"
        cells = [percent(row["digits"], language, 1), mnist, local(f"{row['seconds']:.0f}", language)]
        lines.append(f"| {WORDS[language][name]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", WORDS[language]["ladder_note"].format(**found), ""])


def int8(language: str) -> str:
    """What quantising brings, network by network."""
    lines = [WORDS[language]["int8"], "|---|---:|---:|---:|---|"]
    for row in files.read_csv(ROOT / "reports" / "int8.csv"):
        size = percent(int(row["int8_bytes"]) / int(row["bytes"]), language, 0)
        accuracy = " → ".join(
            percent(row[name], language) for name in ("validation_accuracy", "int8_validation_accuracy")
        )
        kept = WORDS[language]["yes" if row["kept"] == "True" else "no"]
        ratio = local(f"{float(row['speedup']):.1f} ×", language)
        lines.append(f"| `{row['network']}` | {size} | {ratio} | {accuracy} | {kept} |")
    return "\n".join([*lines, ""])


def serve(language: str) -> str:
    """One image per request, nested JSON, 16 connections: every server's median of its rounds."""
    found = files.read_json(RESULTS / "serve.json")
    asked = [Result(**row) for row in found["results"] if row["connections"] == 16]
    [ours] = [result for result in asked if (result.server, result.question) == ("cifra", "OIP JSON")]
    lines = [WORDS[language]["serve"], "|---|---|---:|---:|"]
    for result in sorted(asked, key=lambda each: -each.median("requests_per_second")):
        ratio = "" if result.server == "cifra" else local(f"{times_as_fast(ours, result):.1f} ×", language)
        rate = thousands(str(round(result.median("requests_per_second"))), language)
        lines.append(f"| {result.server} | {result.question} | {rate} | {ratio} |")
    return "\n".join([*lines, "", WORDS[language]["serve_note"].format(**found), ""])


def exact(language: str) -> str:
    found = files.read_json(RESULTS / "exact.json")
    words = WORDS[language]
    lines = [words["exact"], "|---|---:|---:|---:|---:|"]
    for name, seen in found["situations"].items():
        cells = [words["unmeasured"], "", "", ""]
        if seen:
            networks, answers = (f" {words['of']} {count}" for count in (found["networks"], seen["answers"]))
            largest = local(f"{seen['largest']:.0e}", language) if seen["largest"] else "0"
            same = [f"{seen[what]}{networks}" for what in ("same_weights", "same_models")]
            cells = [*same, largest, f"{seen['other_answers']}{answers}"]
        lines.append(f"| {words[name]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", words["exact_note"].format(**found), ""])


def soak(language: str) -> str:
    """Over all seeds."""
    seeds = files.read_json(RESULTS / "soak.json").values()
    sums = {name: sum(each[name] for each in seeds) for name in ("kills", "pipelines")}
    sums["stages"] = len({stage for each in seeds for stage in each["stages"]})
    return WORDS[language]["soak"].format(troubles=sum(len(each["troubles"]) for each in seeds), **sums) + "\n"


def percent(value: str | float, language: str, decimals: int = 2) -> str:
    return local(f"{round(100 * float(value), decimals) + 0.0:.{decimals}f} %", language)  # + 0.0: never -0.00


def span(row: dict[str, str], language: str) -> str:
    return local(f"{100 * float(row['low']):.1f} – {100 * float(row['high']):.1f} %", language)


def thousands(value: str, language: str) -> str:
    return f"{int(value):,}".replace(",", "." if language == "es" else ",")


def local(number: str, language: str) -> str:
    return number.replace(".", ",") if language == "es" else number
