from itertools import pairwise
from typing import Any

import pytest
import torch

from stages.core.cli.errors import UserError
from stages.core.networks import networks
from stages.core.networks.layers import LayerRow, describe
from stages.core.networks.networks import Network, build
from tests.workspace import PARAMS

LENET = {"filters": [6, 16], "widths": [120, 84]}
LAYERS: dict[str, dict[str, Any]] = {
    name: {key: recipe[key] for key in ("filters", "widths") if key in recipe}
    for name, recipe in PARAMS["models"].items()
} | {"lenet_any": LENET, "first_net": {}}
PARAMETERS = {  # the courses' own counts
    "simple_cnn": 220_234,
    "dropout_cnn": 1_199_882,
    "mlp_64_128": 59_850,
    "conv_net": 113_386,
    "mlp_512_512": 669_706,
    "lenet_28": 61_706,
    "lenet_32": 61_706,
    "first_net": 17,
}
OWN = {"fast_cnn", "best_cnn"}
WITH_RECIPE = sorted(PARAMS["models"])
CONVOLUTIONAL = [name for name in WITH_RECIPE if "filters" in LAYERS[name]]


def made(name: str, size: int = 28, channels: int = 1, classes: int = 10, **layers: Any) -> Network:
    shape = networks.input_shape(name, (channels, size, size))
    return build(name, shape, classes, **(LAYERS[name] | layers))


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def row(rows: list[LayerRow], layer: str) -> LayerRow:
    return next(row for row in rows if row.layer == layer)


def test_the_nine_networks_of_the_courses_are_there() -> None:
    assert set(networks.NETWORKS) - OWN == {*PARAMETERS, "lenet_any"}
    assert set(WITH_RECIPE) - OWN == {*PARAMETERS} - {"first_net"}


def test_the_best_network_has_fewer_than_half_a_million_parameters() -> None:
    assert count(made("best_cnn")) < 500_000


@pytest.mark.parametrize("name", sorted(set(WITH_RECIPE) - OWN))
def test_parameters_are_as_many_as_the_courses_say(name: str) -> None:
    assert count(made(name)) == PARAMETERS[name]


def test_first_net_has_seventeen_parameters() -> None:
    assert count(networks.NETWORKS["first_net"]()) == PARAMETERS["first_net"]


@pytest.mark.parametrize(("size", "flattened"), [(128, 13_456), (512, 250_000)])
@pytest.mark.parametrize("classes", [3, 5])
def test_lenet_any_takes_any_image(size: int, flattened: int, classes: int) -> None:
    network = made("lenet_any", size, channels=3, classes=classes)
    rows = describe(network, network.shape)
    assert row(rows, "flatten").output == (flattened,)
    assert rows[-1].output == (classes,)


@pytest.mark.parametrize("name", WITH_RECIPE)
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 4)])
def test_answers_are_finite_and_one_row_per_image(name: str, channels: int, classes: int) -> None:
    network = made(name, channels=channels, classes=classes).eval()
    logits = network(torch.rand(2, *network.shape))
    assert logits.shape == (2, classes)
    assert torch.isfinite(logits).all()


def test_first_net_answers() -> None:
    assert networks.NETWORKS["first_net"]()(torch.rand(5, 2)).shape == (5, 2)


def test_a_network_is_ready_to_train() -> None:
    assert made("dropout_cnn").training


def test_building_draws_only_the_initial_weights() -> None:
    """The dry passes through the layers so far draw nothing, dropout included."""
    torch.manual_seed(1)
    network = made("dropout_cnn", filters=[4, 8], widths=[16, 12])
    torch.manual_seed(1)
    convolutions = [torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 8, 3)]
    dense = [torch.nn.Linear(8 * 12 * 12, 16), torch.nn.Linear(16, 12), torch.nn.Linear(12, 10)]
    expected = torch.nn.Sequential(*convolutions, *dense)
    for ours, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_dropout_cnn_gives_log_probabilities() -> None:
    network = made("dropout_cnn").eval()
    torch.testing.assert_close(network(torch.rand(3, 1, 28, 28)).exp().sum(1), torch.ones(3))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_sizes_follow_the_formula_of_the_course(name: str) -> None:
    network = made(name)
    for layer in describe(network, network.shape):
        if layer.kernel is not None:
            assert layer.stride is not None
            assert layer.padding is not None
            assert layer.output[1] == (layer.input[1] - layer.kernel + 2 * layer.padding) // layer.stride + 1


@pytest.mark.parametrize(
    ("layer", "macs", "output"),
    [
        ("conv1", 28 * 28 * 6 * 25, (6, 28, 28)),
        ("pool1", 0, (6, 14, 14)),
        ("conv2", 10 * 10 * 16 * 6 * 25, (16, 10, 10)),
        ("flatten", 0, (400,)),
        ("fc1", 400 * 120, (120,)),
        ("fc2", 120 * 84, (84,)),
        ("fc3", 84 * 10, (10,)),
    ],
)
def test_multiplications_of_lenet_28(layer: str, macs: int, output: tuple[int, ...]) -> None:
    found = row(describe(made("lenet_28"), (1, 28, 28)), layer)
    assert (found.macs, found.output) == (macs, output)


def test_multiplications_of_lenet_28_in_total() -> None:
    assert sum(row.macs for row in describe(made("lenet_28"), (1, 28, 28))) == 416_520


@pytest.mark.parametrize("name", WITH_RECIPE)
def test_the_table_of_layers_holds_every_parameter_and_fits_together(name: str) -> None:
    network = made(name)
    rows = describe(network, network.shape)
    assert sum(row.parameters for row in rows) == count(network)
    assert [row.layer for row in rows] == [layer for layer, _ in network.named_children()]
    assert all(before.output == after.input for before, after in pairwise(rows))


@pytest.mark.parametrize("training", [True, False])
def test_describing_leaves_the_network_as_it_was(training: bool) -> None:
    network = made("dropout_cnn").train(training)
    state = torch.get_rng_state()
    describe(network, network.shape)
    assert network.training is training
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(layer._forward_hooks for layer in network)


@pytest.mark.parametrize(("name", "size"), [("conv_net", 8), ("lenet_28", 8), ("lenet_any", 12), ("dropout_cnn", 4)])
def test_an_image_too_small_is_an_error_in_one_line(name: str, size: int) -> None:
    with pytest.raises(UserError, match=rf"^{name} with .* cannot take images of 1×{size}×{size}: .*params\.yaml$"):
        made(name, size)


@pytest.mark.parametrize("filters", [[16], [64, 64], [8, 8, 8]])
def test_filters_are_a_setting(filters: list[int]) -> None:
    rows = describe(made("conv_net", filters=filters), (1, 28, 28))
    assert [row.output[0] for row in rows if row.kind == "Conv2d"] == filters


@pytest.mark.parametrize("widths", [[16], [512, 512, 64]])
@pytest.mark.parametrize("name", [name for name in WITH_RECIPE if "widths" in LAYERS[name]])
def test_widths_are_a_setting(name: str, widths: list[int]) -> None:
    network = made(name, widths=widths)
    dense = [row.output[0] for row in describe(network, network.shape) if row.kind == "Linear"]
    assert dense == [*widths, 10]


def test_lenet_32_takes_its_own_size_whatever_the_split_has() -> None:
    assert networks.input_shape("lenet_32", (1, 28, 28)) == (1, 32, 32)
    assert networks.input_shape("lenet_28", (1, 40, 40)) == (1, 40, 40)
