"""From images to a served model, reproducibly.

cifra VERB --help says what a verb takes; the stages of dvc.yaml are `dvc repro`'s, or `python -m stages.STAGE`.
"""

import importlib
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

SERVING = {"serve": "answer over HTTP, with a page", "predict": "say which digit a picture shows"}
TOOLS = {
    "results": "print the table of all networks",
    "ui": "show the runs in MLflow",
    "verify": "hold every published file against dvc.lock",
    "trace": "lead an ONNX file back to what made it",
    "doctor": "find what is in the way",
    "quantize": "make int8 variants of the networks",
    "fanout": "run many trainings at once, here or on a cluster",
    "new": "begin a project of your own",
    "completion": "print what lets a shell complete all this",
}


def main() -> int:
    verb, arguments = sys.argv[1:2], sys.argv[2:]
    if verb and verb[0] in SERVING:  # whose environment has neither torch nor DVC
        from serve.__main__ import main as serve

        return serve(arguments if verb == ["serve"] else [*verb, *arguments])
    if verb and verb[0] in TOOLS:
        sys.argv[1:2] = []
        from stages.core.cli.command import command

        try:
            tool = importlib.import_module(f"cifra.{verb[0]}")
        except ModuleNotFoundError as error:
            print(f"error: cifra {verb[0]} needs {error.name}: install what requirements.lock pins", file=sys.stderr)
            return 2
        command(tool.main, tool.__doc__ or "")
        return 0
    parser().parse_args()
    return 2


def parser() -> ArgumentParser:
    made = ArgumentParser("cifra", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    verbs = made.add_subparsers(metavar="VERB", required=True)
    for name, about in {**SERVING, **TOOLS}.items():
        verbs.add_parser(name, help=about)
    return made


if __name__ == "__main__":
    sys.exit(main())
