"""A long stage is never silent: a bar on a terminal, one line elsewhere."""

import sys

import pytest

from stages.core.cli.progress import watched


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_a_person_sees(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert list(watched(["a", "b"], "recording 2 runs", "run")) == ["a", "b"]
    seen = capsys.readouterr()
    if is_terminal:
        assert (seen.out, "recording 2 runs:   0%" in seen.err, "0/2" in seen.err) == ("", True, True)
    else:
        assert (seen.out, seen.err) == ("recording 2 runs\n", "")
