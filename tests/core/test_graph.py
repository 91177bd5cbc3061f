"""A step as one CUDA graph: the same bytes as without, whatever happens on the way."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.core.cli.errors import UserError
from stages.core.networks import networks
from stages.core.networks.networks import Network
from stages.core.training import accelerator, checkpoint
from stages.core.training.graph import GraphedStep
from stages.core.training.settings import Compute, CudaCompute, Entry
from stages.core.training.trainer import Trainer
from tests.core.test_training import labelled
from tests.workspace import PARAMS

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
NETWORKS = sorted(PARAMS["models"])
IMAGES = 330  # a last batch that is smaller


def trainer(network: str, graph: bool, precision: str = "fp32", **changes: Any) -> Trainer:
    accelerator.make_deterministic(1, 1)
    entry = Entry.model_validate(PARAMS["models"][network] | {"epochs": 3, "batch_size": 32} | changes)
    recipe = entry.on("mnist")
    shape = networks.input_shape(network, (1, 28, 28))
    built = networks.build(network, shape, 10, **recipe.layers)
    compute = CudaCompute(precision=precision, layout="channels_last", compile="none", graph=graph)  # type: ignore[arg-type]
    return Trainer(built.cuda(), recipe, 1, "cuda", compute, recipe.augment)


def fit(running: Trainer, on_epoch: Callable[[Trainer], None] = lambda _: None) -> Trainer:
    size = running.network.shape[-1]
    running.fit(labelled(IMAGES, 0, size), labelled(40, 1, size), lambda *_: None, on_epoch)
    return running


def outcome(running: Trainer) -> tuple[Any, dict[str, Tensor]]:
    return running.history, running.network.state_dict() | {f"best.{n}": w for n, w in running.best_weights.items()}


def same(first: Trainer, second: Trainer) -> bool:
    (history, weights), (other_history, others) = outcome(first), outcome(second)
    return history == other_history and all(torch.equal(weights[name], others[name]) for name in weights)


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_graph_changes_no_bit(network: str, precision: str) -> None:
    graphed = fit(trainer(network, True, precision))
    assert isinstance(graphed._take, GraphedStep)
    assert graphed._take.graph is not None
    assert same(graphed, fit(trainer(network, False, precision)))


@needs_cuda
@pytest.mark.parametrize("network", ["dropout_cnn", "best_cnn"])
def test_a_training_resumed_with_a_graph_ends_in_the_same_bits(network: str) -> None:
    kept: dict[int, Any] = {}

    def keep(running: Trainer) -> None:
        tensors, values = checkpoint.state(running)
        kept[len(running.history.epochs)] = {name: value.clone() for name, value in tensors.items()}, values

    whole = fit(trainer(network, True), keep)
    resumed = trainer(network, True)
    checkpoint.restore(resumed, *kept[1])
    assert same(fit(resumed), whole)


class Waits(nn.Module):
    """Reads a value in the middle of a step, which no graph can do."""

    def forward(self, values: Tensor) -> Tensor:
        return values * (2.0 if float(values.detach().max()) > 1e9 else 1.0)


@needs_cuda
@pytest.mark.parametrize("network", ["mlp_64_128", "dropout_cnn"])
def test_what_cannot_be_captured_is_trained_without_in_the_same_bits(
    network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings = []
    for graph in (True, False):
        running = trainer(network, graph)
        running.forward = nn.Sequential(Waits(), running.forward)
        trainings.append(fit(running))
    assert same(*trainings)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("a step cannot be captured as a CUDA graph (")
    assert line.endswith("): training goes on without")


@needs_cuda
@pytest.mark.parametrize("network", ["best_cnn", "dropout_cnn"])
def test_a_step_never_waits_for_the_accelerator(network: str) -> None:
    running = trainer(network, False)
    images, labels = running._place(labelled(IMAGES))
    first, second, *_ = running._inputs(IMAGES, (28, 28), 1)
    running._step(images, labels, *first)
    torch.cuda.set_sync_debug_mode("error")
    try:
        running._step(images, labels, *second)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("asked", [True, False])
def test_the_setting_says_whether_there_is_a_graph(asked: bool) -> None:
    recipe = Entry.model_validate(PARAMS["models"]["mlp_64_128"]).on("mnist")
    compute = CudaCompute(precision="fp32", layout="channels_last", compile="none", graph=asked)
    built = networks.build("mlp_64_128", (1, 28, 28), 10, **recipe.layers)
    assert isinstance(built, Network)
    assert Trainer(built, recipe, 1, "cpu", compute).graph is asked


def compiled(*further: nn.Module) -> Trainer:
    recipe = Entry.model_validate(PARAMS["models"]["mlp_64_128"] | {"epochs": 2, "batch_size": 32}).on("mnist")
    built = networks.build("mlp_64_128", (1, 28, 28), 10, **recipe.layers)
    for layer in further:
        built.add_module("further", layer)
    return Trainer(built, recipe, 1, "cpu", Compute(precision="fp32", layout="channels_last", compile="default"))


def test_a_network_is_compiled_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole in one graph: a compiler of our own counts those it is given, and the layers in them."""
    graphs: list[int] = []

    def count(module: Any, inputs: Any) -> Any:
        graphs.append(sum("relu" in str(node.target) for node in module.graph.nodes if node.op == "call_function"))
        return module.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda row, mode, fullgraph: real(row, backend=count, fullgraph=fullgraph))
    history = fit(compiled()).history
    assert set(graphs) == {2}
    assert history.epochs[1].train_loss < history.epochs[0].train_loss


def test_a_network_that_cannot_be_compiled_as_a_whole_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^torch .* cannot compile this network as a whole \(.*compile: none") as told:
        fit(compiled(Waits()))
    assert "\n" not in str(told.value)
