"""Say what a picture shows.

    python -m serve predict digit.png photo.jpg            by the champion
    python -m serve predict digit.png --model lenet_28     by a network of models/
    python -m serve predict digit.png --model ~/net.onnx   by any ONNX file that `make` exports
    python -m serve predict --json - < digit.png           one JSON document; - is the standard input
    python -m serve predict photos/ --out answers.csv      all of a folder, on all cores: .csv, .jsonl, .parquet

A run with --out that was stopped goes on where it ended when it is started again.
Exit codes: 0 all answered, 2 a picture or the model cannot be used (the other pictures are answered).
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from serve.inference.model import Model, ModelError
from serve.pictures.prepare import MAX_BYTES, PrepareError, prepare_for

RUNNERS_UP = 2


def main(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        model = _model(arguments.model, arguments.models)
    except ModelError as error:
        _complain(str(error))
        return 2
    if arguments.out:
        return _into(arguments.out, model, arguments.files)
    if arguments.json:
        answers = list(_answers(model, arguments.files))
        print(json.dumps(answers, ensure_ascii=False, indent=1))
    else:
        answers = list(_told(model, arguments.files))
    return 2 if any("error" in answer for answer in answers) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m serve predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="pictures, or with --out folders of them; - for standard input")
    add("--model", default="champion", metavar="NAME|FILE", help="a network of the directory, or an ONNX file")
    add("--models", type=Path, default=Path("models"), metavar="DIR", help="directory of ONNX files (default: models)")
    add("--out", type=Path, metavar="FILE", help="write a table: name, label, confidence, doubt, error")
    add("--json", action="store_true", help="print a JSON list instead of a table")
    return parser


def _model(name: str, directory: Path) -> Model:
    """Raises ModelError."""
    file = Path(name).expanduser()
    folders = [directory]
    if directory.is_dir():
        folders.append(directory.absolute().parent / "champion")  # which the pipeline leaves beside the models
    paths = [file] if file.suffix == ".onnx" else [folder / f"{name}.onnx" for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        path = paths[0]
        known = ", ".join(sorted(found.stem for folder in folders for found in folder.glob("*.onnx")))
        advice = f"choose from {known}" if known else "run `make` to train some, or name an ONNX file"
        raise ModelError(f"there is no {path}; {advice}")
    return Model.load(path)


def _into(out: Path, model: Model, places: list[str]) -> int:
    from serve import batch

    try:
        return 2 if batch.run(model, places, out, _complain) else 0
    except batch.BatchError as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"cannot write {out}: {error.strerror}")
    except KeyboardInterrupt:
        _complain("interrupted: the same command goes on from here")
        return 130
    return 2


def _answers(model: Model, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    for file in files:
        try:
            images = prepare_for(model, _read(file))[None]
        except PrepareError as error:
            _complain(f"{file}: {error}")
            yield {"name": file, "error": str(error)}
            continue
        answer = model.predict(images)
        probabilities, [doubt] = answer.probabilities[0], answer.doubts
        best = int(probabilities.argmax())
        yield {
            "name": file,
            "label": model.classes[best],
            "confidence": float(probabilities[best]),
            "doubt": doubt,
            "probabilities": dict(zip(model.classes, map(float, probabilities), strict=True)),
            "model": model.name,
            "version": model.version,
        }


def _read(file: str) -> bytes:
    """At most what a picture may have, and one byte more. Raises PrepareError."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(file).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise PrepareError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _told(model: Model, files: list[str]) -> Iterator[dict[str, Any]]:
    """Print each answer as it comes, and pass it on."""
    print(f"{model.name}, version {model.version}", flush=True)
    width = max(map(len, files))
    for answer in _answers(model, files):
        if "error" not in answer:
            first, *others = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
            rest = ", ".join(f"{label} {share:.1%}" for label, share in others[:RUNNERS_UP])
            doubt = f"   but this looks like {none_of(model)}" if answer["doubt"] else ""
            print(f"{answer['name']:{width}}  {first[0]}  {first[1]:6.1%}   then {rest}{doubt}", flush=True)
        yield answer


def none_of(model: Model) -> str:
    return "no digit" if model.classes == list("0123456789") else "none of its classes"


def _complain(message: str) -> None:
    print(f"predict: {message}", file=sys.stderr)
