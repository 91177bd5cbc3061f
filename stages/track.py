"""Make MLflow equal to what is on disk: one run per network and fingerprint, the champion registered by its alias.

    python -m stages.track

What is already there is left alone, so this may be repeated; what is missing is made again, be it the whole store.
An experiment of DVC records its runs and leaves the registered champion alone.
"""

import os
import re
import sys
import time
import warnings
from importlib.metadata import version
from itertools import cycle
from statistics import median
from typing import Any

from serve.inference.model import Model
from stages.core.cli import files, params
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import FIGURES, METRICS, MODEL_INFO, MODELS, REPORTS, RESULTS, SPLIT, WEIGHTS
from stages.core.cli.progress import watched
from stages.core.data import datasets
from stages.core.tracking import store, times
from stages.core.tracking.times import Times

CHAMPION = "champion"
SETTINGS = ("seed", "accelerator", "threads", "precision", "layout", "compile", "dataset")  # beside the recipe
IMAGES = 10  # that MLflow shows of a run side by side
ANSWERS = 50  # that are timed
COLOUR = "mlflow.runColor"  # tag: by itself MLflow gives two of nine networks the same
NO_NAME = re.compile(r"[^\w\-. :/]")  # letters that MLflow takes in no name: of classes called "🐈" or "a (b)"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B", "#7F7F7F", "#9467BD")
RECORDED = "cifra.recorded"  # tag: the hash of all that a run holds


def main() -> None:
    names = list(params.load().models)
    try:
        told = make_equal(names)
    except store.troubles() as error:
        said = f"MLflow's store {store.address()} does not work ({str(error).splitlines()[0][:200]})"
        if "DVC_STAGE" not in os.environ:
            raise UserError(f"{said}. Once it does, run this again; `python -m cifra doctor` looks into it") from None
        print(f"{said}: the pipeline goes on; once it does, run `python -m stages.track`", file=sys.stderr)
    else:
        print(f"MLflow holds {len(names)} runs; {told}. See them with `make ui`")
    # The store is no output of DVC's: without a file that a fresh clone lacks, a lock that fits would skip this stage.
    fingerprints = {name: files.read_json(WEIGHTS / name / "training.json")["fingerprint"] for name in names}
    files.write_json(REPORTS / "tracked.json", {"champion": champion(), "runs": fingerprints})


def champion() -> str:
    return str(files.read_json(REPORTS / "champion.json")["network"])


def make_equal(names: list[str]) -> str:
    """What became of the registered champion."""
    client = store.connect()
    runs = {name: record(client, name) for name in watched(names, f"recording {len(names)} runs in MLflow", "run")}
    for run, colour in zip(runs.values(), cycle(COLOURS), strict=False):
        client.set_tag(run, COLOUR, colour)
    dataset = datasets.metadata()["dataset"]
    store.set_columns(client, dataset)
    registered = f"cifra-{dataset}"
    if not store.keeps_models(store.address()):
        return "no models: the server is older than MLflow 3"
    if os.environ.get("DVC_EXP_NAME"):
        return f"models:/{registered}, as it was: this is an experiment"
    register(client, registered, champion(), runs[champion()])
    return f"models:/{registered}@{CHAMPION} is {champion()}"


def record(client: Any, network: str) -> str:
    """The id of the network's run, which afterwards holds all that is on disk about the network."""
    training = files.read_json(WEIGHTS / network / "training.json")
    took = times.read(training["fingerprint"], training["epochs"])
    run = store.open_run(client, training, took.start if took else None)
    held = content(network)
    before = client.get_run(run)
    if before.data.tags.get(RECORDED) != held or not is_whole(client, run, network):
        log(client, run, network, training)
        log_times(client, run, network, took)
        client.set_tag(run, RECORDED, held)
        client.set_terminated(run, "FINISHED", ended(before.info, took))
    return run


def ended(run: Any, took: Times | None) -> int:
    """When the training ended, not what was added later; of one that was not timed here, no time at all passed."""
    if run.status == "FINISHED" and run.end_time:
        return int(run.end_time)
    return took.end if took else int(run.start_time)


def log_times(client: Any, run: str, network: str, took: Times | None) -> None:
    """Of a training and an epoch where they were timed, and of an answer; in MLflow alone, as no two runs agree."""
    for name, value in ({"answer_ms": 1000 * answer_seconds(network)} | (took.metrics if took else {})).items():
        client.log_metric(run, name, value, step=0)


def answer_seconds(network: str) -> float:
    """The median to one image, by ONNX Runtime with the code that serves it."""
    model = Model.load(MODELS / f"{network}.onnx")
    image = datasets.load("test", model.input_shape[-1]).images[:1]
    taken = []
    for _ in range(ANSWERS):
        begin = time.perf_counter()
        model.predict(image)
        taken.append(time.perf_counter() - begin)
    return median(taken)


def is_whole(client: Any, run: str, network: str) -> bool:
    """Whether all is there that belongs to a run: not what a Cifra of before left out, nor what anybody deleted."""
    there = {artifact.path for artifact in client.list_artifacts(run)}
    said = client.get_run(run).data
    has_scores = scores(network).keys() <= said.metrics.keys() and labels(network).items() <= said.tags.items()
    has_model = not store.keeps_models(store.address()) or bool(logged_model(client, run, network))
    return has_scores and {"figures", "results"} <= there and has_model


def logged_model(client: Any, run: str, network: str) -> str | None:
    """The id of the run's logged model of these very bytes, if it is there with its files."""
    wanted = model_sha256(network)
    outputs = client.get_run(run).outputs
    for output in reversed(outputs.model_outputs if outputs else []):
        model = client.get_logged_model(output.model_id)
        if model.tags.get("sha256") == wanted and client.list_logged_model_artifacts(output.model_id):
            return str(output.model_id)
    return None


def model_sha256(network: str) -> str:
    return files.sha256((MODELS / f"{network}.onnx").read_bytes())


def content(network: str) -> str:
    """One hash over everything that goes into a run."""
    paths = [MODELS / f"{network}.onnx", MODEL_INFO / f"{network}.json", METRICS / f"{network}.json"]
    folders = [WEIGHTS / network, RESULTS / network, FIGURES / network]
    paths += [path for folder in folders for path in sorted(folder.glob("**/*.*"))]
    return files.sha256(*(path.read_bytes() for path in paths))


def log(client: Any, run: str, network: str, training: dict[str, Any]) -> None:
    import mlflow

    log_curves(client, run, network)
    with mlflow.start_run(run_id=run):
        mlflow.log_params(parameters(training))
        mlflow.log_metrics(scores(network), step=0)  # single values: bars in the charts, not dots over steps
        mlflow.set_tags(labels(network))
        mlflow.set_tags({name: training[name] for name in ("accelerator", "precision", "torch")})
        mlflow.set_tag("mlflow.note.content", description(network, training))
        log_dataset(mlflow)
        for folder, name in ((FIGURES / network, "figures"), (RESULTS / network, "results")):
            mlflow.log_artifacts(str(folder), name)
        mlflow.log_artifact(str(MODEL_INFO / f"{network}.json"))
        log_images(mlflow, network)
        if store.keeps_models(store.address()) and not logged_model(client, run, network):
            log_model(client, mlflow, network)


def description(network: str, training: dict[str, Any]) -> str:
    """What it is, how good, how to repeat it: three lines of Markdown."""
    metrics = files.read_json(METRICS / f"{network}.json")
    return (
        f"`{network}` on `{training['dataset']}`, seed {training['seed']}.\n\n"
        f"Test accuracy **{metrics['test']['accuracy']:.2%}** ({metrics['test']['low']:.1%} to "
        f"{metrics['test']['high']:.1%}), worst class {labels(network)['worst_class']}.\n\n"
        f"Again: `dvc repro evaluate@{network}`"
    )


def labels(network: str) -> dict[str, str]:
    """Tags that are columns of MLflow's table."""
    classes = files.read_json(METRICS / f"{network}.json")["classes"]
    worst = min(classes, key=classes.__getitem__)
    return {"network": network, "worst_class": f"{worst} ({classes[worst]:.1%})"}


def log_images(mlflow: Any, network: str) -> None:
    """Figures by key, which MLflow's grid of images compares over runs."""
    from PIL import Image

    for path in sorted((FIGURES / network).glob("*.png"))[:IMAGES]:
        with Image.open(path) as image:
            mlflow.log_image(image.convert("RGB"), key=path.stem, step=0)


def log_curves(client: Any, run: str, network: str) -> None:
    """The epochs that were not logged while the training ran."""
    logged = store.logged_epochs(client, run)
    for row in files.read_csv(WEIGHTS / network / "epochs.csv"):
        values = {name: float(value) for name, value in row.items()}
        if int(values["epoch"]) not in logged:
            store.log_epoch(client, run, int(values["epoch"]), values)


def parameters(training: dict[str, Any]) -> dict[str, Any]:
    recipe: dict[str, Any] = training["recipe"]
    return recipe | {name: training[name] for name in SETTINGS}


def scores(network: str) -> dict[str, float]:
    """Names apart from those of the curves, of which MLflow's table shows the last epoch and not the best."""
    metrics = files.read_json(METRICS / f"{network}.json")
    model_info = files.read_json(MODEL_INFO / f"{network}.json")
    return {
        "worst_accuracy": min(metrics["classes"].values()),
        **{f"test_{name}": value for name, value in metrics["test"].items()},
        "calibration_error": metrics["certainty"]["smooth_error"],
        **{f"best_validation_{name}": value for name, value in metrics["validation"].items()},
        **{f"class_accuracy/{NO_NAME.sub('_', name)}": value for name, value in metrics["classes"].items()},
        **{name: model_info[name] for name in ("parameters", "macs", "bytes", "best_epoch")},
    }


def log_dataset(mlflow: Any) -> None:
    from mlflow.data.meta_dataset import MetaDataset

    metadata = datasets.metadata()
    dataset = MetaDataset(  # type: ignore[abstract]
        source(), name=metadata["dataset"], digest=metadata["sha256"][:32]
    )
    mlflow.log_input(dataset, context="training")


def source() -> Any:
    from mlflow.data.dataset_source_registry import resolve_dataset_source

    with warnings.catch_warnings(action="ignore"):  # it finds two equal readers of a local path
        return resolve_dataset_source(str(SPLIT))


def log_model(client: Any, mlflow: Any, network: str) -> None:
    import numpy as np
    import onnx
    from mlflow.models import infer_signature

    proto = onnx.load(MODELS / f"{network}.onnx")
    shape = [1] + [dimension.dim_value for dimension in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    classes = len(datasets.metadata()["classes"])
    answer = np.zeros((1, classes), np.float32)
    logged = mlflow.onnx.log_model(
        proto,
        name="model",
        signature=infer_signature({"image": np.zeros(shape, np.uint8)}, {"logits": answer, "probabilities": answer}),
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
        pip_requirements=[f"{name}=={version(name)}" for name in ("onnx", "onnxruntime")],
    )
    client.set_logged_model_tags(logged.model_id, {"sha256": model_sha256(network)})


def register(client: Any, name: str, champion: str, run: str) -> None:
    """Point the alias to the champion's logged model, made a version of the registered model if it is none yet."""
    import mlflow
    from mlflow.exceptions import MlflowException

    model = f"models:/{logged_model(client, run, champion)}"
    try:
        known = {version.source: version.version for version in client.search_model_versions(f"name = '{name}'")}
    except MlflowException:
        known = {}
    number = known.get(model) or mlflow.register_model(model, name).version
    client.update_model_version(
        name, number, description(champion, files.read_json(WEIGHTS / champion / "training.json"))
    )
    client.set_registered_model_alias(name, CHAMPION, number)


if __name__ == "__main__":
    command(main, __doc__)
