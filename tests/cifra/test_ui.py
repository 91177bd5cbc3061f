"""What `make ui` opens, in a real browser: the table of runs, charts, two runs compared, images side by side."""

import shutil
from collections.abc import Iterator
from contextlib import chdir
from typing import Any

import pytest
from ruamel.yaml import YAML

from bench.page import browser
from bench.pictures import runs, tracked
from stages.core.cli import files
from stages.core.cli.paths import REPORTS
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from stages.core.tracking import store, times
from tests.workspace import CLASSES, PARAMS, publish_network, publish_split, shell

NETWORKS = {"mlp_64_128": 0.6, "lenet_28": 0.9}  # and the share of each class but one that they get right
CUT_OFF = """head => {
    const right = (element) => element.getBoundingClientRect().right;
    return right(head) > right(head.closest(".ag-header-cell"));
}"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """After `track` has recorded two networks."""
    root = tmp_path_factory.mktemp("repository")
    proto = onnx_file.to_onnx(networks.build("mlp_64_128", (1, 28, 28), 10, widths=[8]).eval())
    onnx_file.describe(proto, {"network": "mlp_64_128", "classes": list(CLASSES)})
    with chdir(root):
        publish_split()
        for network, share in NETWORKS.items():
            publish_network(network, proto.SerializeToString(), network, dict.fromkeys(CLASSES, share) | {"8": 0.25})
            took = {"start": 1_700_000_000_000, "end": 1_700_000_003_000, "epochs": [1.0, 2.04]}
            files.write_json(root / times.TIMES / f"{network}.json", took)
        files.write_json(REPORTS / "champion.json", {"network": "lenet_28"})
        with open("params.yaml", "w") as file:
            YAML(typ="safe").dump(PARAMS | {"models": {name: PARAMS["models"][name] for name in NETWORKS}}, file)
        done = shell("-m", "stages.track")
    assert done.code == 0, done.err
    with tracked(root) as found:
        yield found


@pytest.fixture
def table(link: str) -> Iterator[Any]:
    with browser() as page:
        runs(page, link)
        yield page


def test_the_table_has_what_one_asks_of_a_network(table: Any) -> None:
    """Without a click, and no heading cut off."""
    heads = {head.inner_text(): head for head in table.locator("[data-testid^=sort-header]").all()}
    names = [column.split("`")[1] for column in store.COLUMNS]
    assert set(names) <= set(heads)
    assert [name for name in names if heads[name].evaluate(CUT_OFF)] == []
    shown = " ".join(table.locator(".ag-row").all_inner_texts()).split()
    assert {"mlp_64_128", "lenet_28", "0.835", "0.565", "8", "(25.0%)", "7", "3", "3.0s"} <= set(shown)


def charts(page: Any, link: str) -> None:
    page.goto(f"{link}&compareRunsMode=CHART")
    page.get_by_text("class_accuracy/0").first.wait_for()


def test_single_values_are_bars(table: Any, link: str) -> None:
    charts(table, link)
    card = table.locator("[data-testid=experiment-view-compare-runs-card]", has_text="class_accuracy/0")
    card.locator(".bars .point").first.wait_for()
    assert card.locator(".bars .point").count() == len(NETWORKS)
    assert {"0.60", "0.90"} <= set(card.locator(".bars .bartext").all_text_contents())


def test_figures_stand_side_by_side(table: Any, link: str) -> None:
    charts(table, link)
    table.get_by_placeholder("Search metric charts").fill("^epochs$")
    images = table.locator("[data-testid=experiment-view-compare-runs-card] img")
    images.nth(1).wait_for()
    assert images.evaluate_all("images => images.map((image) => image.complete && image.naturalWidth > 0)") == [
        True,
        True,
    ]


def test_two_runs_compare(table: Any) -> None:
    for row in table.locator(".ag-row", has_text="-").all()[:2]:
        row.locator(".ag-checkbox-input-wrapper, .ag-selection-checkbox").first.click()
    table.get_by_role("button", name="Compare", exact=True).click()
    table.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    table.get_by_text("class_accuracy/0").first.wait_for()
    shown = table.locator("body").inner_text().split()
    assert {"mlp_64_128-mlp_", "lenet_28-lene", "batch_size", "class_accuracy/0", "0.9", "0.6"} <= set(shown)
