"""Layers beside torch's own."""

from torch import nn


class Norm(nn.BatchNorm2d):
    """Batch normalisation with a bias and no scale of its own, so that export can fold it into the convolution
    before it even through a pooling: what never turns the order of values round commutes with a maximum."""

    def __init__(self, maps: int) -> None:
        super().__init__(maps, momentum=0.2)  # a run may have no more than some hundred steps
        self.weight.requires_grad_(False)
