"""What every stage and tool shares on the command line: a real --help, exit codes, and errors in one line."""

import gc
import inspect
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import Any

from stages.core.cli import processes
from stages.core.cli.errors import UserError


def command(main: Callable[..., int | None], usage: str) -> None:
    """Run a stage from the shell.

    Exit codes: 0 done, 1 failed, 2 invalid input, 130 interrupted (143 by SIGTERM), 141 nobody reads any more.
    """
    gc.freeze()  # what was imported stays; to take torch apart at the end costs two seconds
    gc.enable()
    parser = ArgumentParser(
        prog=_prog(Path(inspect.getfile(main))),
        description=usage,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_arguments(parser, main)
    arguments: dict[str, Any] = vars(parser.parse_args())
    try:
        with processes.interruptible():
            code = main(**arguments)
            print(end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python would try once more at its end
        sys.exit(141)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interruption:
        sys.exit(_say_what_is_left(interruption))
    if code:
        sys.exit(code)


def _prog(module: Path) -> str:
    return f"python -m stages.{module.stem}" if module.parent.name == "stages" else f"cifra {module.stem}"


def add_arguments(parser: ArgumentParser, main: Callable[..., int | None]) -> None:
    """Of the function's own: what has a default is an option, `Annotated` gives the line of help."""
    for name, parameter in inspect.signature(main).parameters.items():
        about = getattr(parameter.annotation, "__metadata__", ["an entry of models: in params.yaml"])[0]
        if parameter.default is Parameter.empty:
            parser.add_argument(name, help=about)
        elif parameter.default is False:
            parser.add_argument(f"--{name}", action="store_true", help=about)
        else:
            parser.add_argument(f"--{name}", default=parameter.default, help=about)


def _say_what_is_left(interruption: KeyboardInterrupt) -> int:
    again = ["`dvc repro` runs this stage again"] if "DVC_STAGE" in os.environ else []
    print(": ".join(["interrupted", *getattr(interruption, "__notes__", again)]), file=sys.stderr, flush=True)
    return getattr(interruption, "exit_code", 130)
