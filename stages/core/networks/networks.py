"""The networks of the courses, and two of our own: layers in a row, added one after the other as one draws them.

A network takes values in [0, 1] of shape N×C×H×W and answers N×classes logits.
To add one: write its class, name it in NETWORKS, give it an entry under `models:` in params.yaml.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from stages.core.cli.errors import UserError
from stages.core.cli.settings import unknown
from stages.core.networks.modules import Norm
from stages.core.training.settings import Recipe

Shape = tuple[int, ...]


class Row(nn.Sequential):
    """Layers in a row by a forward of our own: some versions of torch.compile step around that of Sequential."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        for layer in self:
            values = layer(values)
        return values


class Network(nn.Sequential):
    """Layers in a row, each named by its kind and number: conv1, relu1, pool1, …, fc1.

    The size of what enters a layer is found by a dry pass through the layers before it,
    so a network takes any image that is large enough.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def add_conv(self, maps: int, kernel: int, padding: int = 0, bias: bool = True) -> None:
        self._add("conv", nn.Conv2d(self.output_shape()[0], maps, kernel, padding=padding, bias=bias))

    def add_norm(self) -> None:
        self._add("norm", Norm(self.output_shape()[0]))

    def add_relu(self) -> None:
        self._add("relu", nn.ReLU())

    def add_sigmoid(self) -> None:
        self._add("sigmoid", nn.Sigmoid())

    def add_pool(self, size: int) -> None:
        self._add("pool", nn.MaxPool2d(size))

    def add_dropout(self, share: float) -> None:
        self._add("dropout", nn.Dropout(share))

    def add_flatten(self) -> None:
        self._add("flatten", nn.Flatten())

    def add_dense(self, units: int) -> None:
        self._add("fc", nn.Linear(self.output_shape()[0], units))

    def add_log_softmax(self) -> None:
        self._add("log_softmax", nn.LogSoftmax(dim=1))

    def add_head(self, widths: Sequence[int], classes: int) -> None:
        """All pixels or maps in one row, hidden dense layers with ReLU, and a logit for each class."""
        self.add_flatten()
        for units in widths:
            self.add_dense(units)
            self.add_relu()
        self.add_dense(classes)

    def _add(self, kind: str, layer: nn.Module) -> None:
        number = 1 + sum(name.rstrip("0123456789") == kind for name, _ in self.named_children())
        self.add_module(kind if kind in ("flatten", "log_softmax") else f"{kind}{number}", layer)

    def reordered(self) -> "Row":
        """The same layers, each max pooling before the ReLU it follows: the same numbers, a quarter of the work."""
        layers = list(self)
        for place, (first, second) in enumerate(pairwise(self)):
            if isinstance(first, nn.ReLU) and isinstance(second, nn.MaxPool2d):
                layers[place : place + 2] = second, first
        return Row(*layers)

    def output_shape(self) -> Shape:
        """Of one image, without N."""
        was_training = self.training
        self.eval()  # dropout would draw random numbers and so change the initial weights
        with torch.no_grad():
            output = self(torch.zeros(1, *self.shape))
        self.train(was_training)
        return tuple(output.shape[1:])


class DropoutCNN(Network):
    """Convolutions first, one pooling after them, and dropout before each dense layer."""

    def __init__(self, shape: Shape, classes: int, filters: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__(shape)
        for maps in filters:
            self.add_conv(maps, kernel=3)
            self.add_relu()
        self.add_pool(2)
        self.add_dropout(0.25)
        self.add_flatten()
        for units in widths:
            self.add_dense(units)
            self.add_relu()
            self.add_dropout(0.5)
        self.add_dense(classes)
        self.add_log_softmax()  # the course's; cross-entropy applies it again, which changes nothing


class PooledCNN(Network):
    """3×3 convolutions, each halved by pooling, then a dense head."""

    def __init__(
        self, shape: Shape, classes: int, filters: Sequence[int], widths: Sequence[int], padding: int = 0
    ) -> None:
        super().__init__(shape)
        for maps in filters:
            self.add_conv(maps, kernel=3, padding=padding)
            self.add_relu()
            self.add_pool(2)
        self.add_head(widths, classes)


class LeNet(Network):
    """LeNet-5 with ReLU and max pooling; `padding` is that of its first convolution."""

    def __init__(
        self, shape: Shape, classes: int, filters: Sequence[int], widths: Sequence[int], padding: int = 0
    ) -> None:
        super().__init__(shape)
        for number, maps in enumerate(filters):
            self.add_conv(maps, kernel=5, padding=padding if number == 0 else 0)
            self.add_relu()
            self.add_pool(2)
        self.add_head(widths, classes)


class MLP(Network):
    """Dense layers alone: the image is one long row of pixels."""

    def __init__(self, shape: Shape, classes: int, widths: Sequence[int]) -> None:
        super().__init__(shape)
        self.add_head(widths, classes)


class NormCNN(Network):
    """Padded 3×3 convolutions, every second one pooled, all normalised; one dense layer at the end."""

    def __init__(self, shape: Shape, classes: int, filters: Sequence[int]) -> None:
        super().__init__(shape)
        for number, maps in enumerate(filters, 1):
            self.add_conv(maps, kernel=3, padding=1, bias=False)
            if number % 2 == 0:
                self.add_pool(2)
            self.add_norm()
            self.add_relu()
        self.add_head((), classes)


class FastCNN(Network):
    """A 5×5 convolution pooled at once, then 3×3 ones on the small maps: most of the sight for little arithmetic."""

    def __init__(self, shape: Shape, classes: int, filters: Sequence[int]) -> None:
        super().__init__(shape)
        for number, maps in enumerate(filters, 1):
            self.add_conv(maps, kernel=5 if number == 1 else 3, bias=False)
            if number <= 2:
                self.add_pool(2)
            self.add_norm()
            self.add_relu()
        self.add_head((), classes)


class FirstNet(Network):
    """The network of the drawing board: two numbers in, three sigmoid units, two numbers out."""

    def __init__(self, shape: Shape = (2,), classes: int = 2, widths: Sequence[int] = (3,)) -> None:
        super().__init__(shape)
        for units in widths:
            self.add_dense(units)
            self.add_sigmoid()
        self.add_dense(classes)


NETWORKS: dict[str, Callable[..., Network]] = {
    "simple_cnn": partial(PooledCNN, padding=1),
    "dropout_cnn": DropoutCNN,
    "mlp_64_128": MLP,
    "conv_net": PooledCNN,
    "mlp_512_512": MLP,
    "lenet_28": partial(LeNet, padding=2),
    "lenet_32": LeNet,
    "fast_cnn": FastCNN,
    "best_cnn": NormCNN,
    "lenet_any": LeNet,
    "first_net": FirstNet,
}

IMAGE_SIZE = {"lenet_32": 32}  # what a network insists on, where the others take the split's own


def input_shape(name: str, given: Sequence[int]) -> Shape:
    """The C×H×W that this network takes when the split's images are of the given one."""
    size = IMAGE_SIZE.get(name)
    return (given[0], size, size) if size else tuple(given)


def check(models: Mapping[str, Recipe]) -> None:
    """Every entry of params.yaml names a network and gives the layers that it has."""
    for name, recipe in models.items():
        architecture = recipe.architecture or name
        if architecture not in NETWORKS:
            fault = unknown("network", f"models.{name}", list(NETWORKS), "one of")
            if recipe.architecture:
                fault = f"models.{name}: {unknown('architecture', architecture, list(NETWORKS), 'one of')}"
            raise UserError(f"params.yaml: {fault}. Under a name of your own, say `architecture: one of these`")
        wanted = {"filters", "widths"} & set(signature(NETWORKS[architecture]).parameters)
        for setting in wanted ^ set(recipe.layers):
            fault = "is missing: add it" if setting in wanted else "is nothing that this network has: remove it"
            raise UserError(f"params.yaml: models.{name}.{setting} {fault}")


def build(name: str, shape: Shape, classes: int, **layers: Any) -> Network:
    """The network of that name for images of that shape, with fresh weights from torch's global generator."""
    try:
        return NETWORKS[name](shape=shape, classes=classes, **layers)
    except RuntimeError as error:  # torch: a kernel larger than what is left of the image
        size = "×".join(map(str, shape))
        raise UserError(
            f"{name} with {layers} cannot take images of {size}: {str(error).splitlines()[0]} "
            f"Give models.{name} fewer filters or enlarge split.image_size in params.yaml"
        ) from None
