"""Print what lets a shell complete verbs, options, networks and files.

eval "$(cifra completion bash)"       in ~/.bashrc; for zsh: cifra completion zsh > ~/.zfunc/_cifra
"""

import importlib
from argparse import ArgumentParser
from typing import Annotated

import shtab

from cifra.__main__ import SERVING, TOOLS
from stages.core.cli import command
from stages.core.cli.errors import UserError

# The networks that were exported.
PREAMBLE = {
    "bash": """_cifra_networks() { compgen -W "$(ls models 2>/dev/null | sed -n 's/\\.onnx$//p')" -- "$1"; }""",
    "zsh": """_cifra_networks() { compadd -- $(ls models 2>/dev/null | sed -n 's/\\.onnx$//p'); }""",
}
NETWORKS = {"bash": "_cifra_networks", "zsh": "_cifra_networks"}
FILES = {"file", "files"}


def main(shell: Annotated[str, "bash, zsh, fish or tcsh"]) -> None:
    if shell not in shtab.SUPPORTED_SHELLS:
        raise UserError(f"there is no completion for {shell}: choose from {', '.join(shtab.SUPPORTED_SHELLS)}")
    print(shtab.complete(parser(), shell, preamble=PREAMBLE.get(shell, "")))


def parser() -> ArgumentParser:
    """Of all verbs with all that they take; the modules take seconds to import, and a shell asks once."""
    from serve import __main__ as serve
    from serve import predict

    made = ArgumentParser("cifra")
    verbs = made.add_subparsers()
    own = {"serve": serve._parser(), "predict": predict._parser()}
    for name, about in SERVING.items():
        verbs.add_parser(name, help=about, parents=[own[name]], add_help=False)
    for name, about in TOOLS.items():
        command.add_arguments(verbs.add_parser(name, help=about), importlib.import_module(f"cifra.{name}").main)
    for verb in verbs.choices.values():
        for action in verb._actions:
            if action.dest in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest in ("network", "model"):
                action.complete = NETWORKS  # type: ignore[attr-defined]
    return made
