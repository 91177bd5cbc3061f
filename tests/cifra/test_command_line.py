"""`cifra VERB`: one command line for the tools and the server, with completion."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cifra.__main__ import SERVING, TOOLS
from tests.workspace import ROOT, Outcome, shell

HEAVY = {"torch", "mlflow", "dvc", "matplotlib", "sklearn", "psutil", "pydantic", "shtab", "ruamel", "filelock"}


@pytest.mark.parametrize("verb", [*SERVING, *TOOLS])
def test_every_verb_has_help(verb: str) -> None:
    outcome = shell("-m", "cifra", verb, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith("usage: ")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("serv",)], ids=str)
def test_without_a_verb_all_are_named(arguments: tuple[str, ...]) -> None:
    outcome = shell("-m", "cifra", *arguments)
    assert outcome.code == (0 if arguments == ("--help",) else 2)
    if arguments:
        assert all(verb in outcome.out + outcome.err for verb in {**SERVING, **TOOLS})


@pytest.mark.parametrize("verb", SERVING)
def test_the_environment_of_the_server_is_enough_for_what_answers(verb: str) -> None:
    outcome = without(HEAVY | {"stages"}, verb, "--help")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("verb", TOOLS)
def test_there_a_tool_says_in_one_line_what_it_needs(verb: str) -> None:
    outcome = without(HEAVY, verb, "--help")
    if verb in ("doctor", "verify"):  # of which the one needs nothing but Python, and the other asks DVC when it runs
        assert (outcome.code, outcome.err) == (0, "")
    else:
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert outcome.err.startswith(f"error: cifra {verb} needs ")


def without(modules: set[str], *arguments: str) -> Outcome:
    """`cifra ARGUMENTS` where these cannot be imported."""
    script = f"import sys; sys.modules |= dict.fromkeys({modules}); sys.argv[1:] = {list(arguments)}\n"
    return shell("-c", f"{script}from cifra.__main__ import main; sys.exit(main())")


def test_what_the_server_says_is_passed_on() -> None:
    outcome = shell("-m", "cifra", "predict", "--models", "nowhere", "a.png")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "there is no nowhere" in outcome.err


def test_an_installed_command_is_the_same() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    module, function = re.findall(r'^cifra = "(\S+):(\w+)"', text, re.MULTILINE)[0]
    outcome = shell(
        "-c", f"import sys; sys.argv[1:] = ['results', '--help']; from {module} import {function}; {function}()"
    )
    assert outcome.out.startswith("usage: cifra results")


@pytest.fixture(scope="module")
def completion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outcome = shell("-m", "cifra", "completion", "bash")
    assert (outcome.code, outcome.err) == (0, "")
    path = tmp_path_factory.mktemp("completion") / "cifra.bash"
    path.write_text(outcome.out)
    return path


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("ver", {"verify"}),
        ("", {*SERVING, *TOOLS}),
        ("quantize --net", {"--network"}),
        ("quantize --network le", {"lenet_28", "lenet_32"}),
        ("predict --model be", {"best_cnn"}),
        ("serve --po", {"--port"}),
        ("trace mo", {"models"}),
    ],
)
def test_bash_completes_verbs_options_networks_and_files(
    completion: Path, tmp_path: Path, typed: str, wanted: set[str]
) -> None:
    (tmp_path / "models").mkdir()
    for name in ("lenet_28.onnx", "lenet_32.onnx", "best_cnn.onnx", "notes.txt"):
        (tmp_path / "models" / name).touch()
    words = " ".join(f"'{word}'" for word in ["cifra", *typed.split(" ")])
    script = (
        f"source '{completion}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        'complete -p cifra | grep -o "_shtab[a-z_]*" | { read name; $name; printf "%s\\n" "${COMPREPLY[@]}"; }'
    )
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    offered = {line for line in done.stdout.splitlines() if line and not line.startswith("-h")} - {"--help"}
    assert offered >= wanted, done.stderr
    assert not typed or offered == wanted


def test_a_shell_without_completion_is_one_line() -> None:
    outcome = shell("-m", "cifra", "completion", "cmd")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.startswith("error: there is no completion for cmd: choose from bash, zsh")
