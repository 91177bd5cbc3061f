"""From a trained network to one ONNX file that says what it is and takes images as people have them."""

import ast
from typing import Any

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from stages.core import files
from stages.core.networks import Shape
from stages.core.training import as_input

OPSET = 20
SCOPES = "pkg.torch.onnx.name_scopes"
NORMALIZED = "normalized"


class Served(nn.Module):
    """From uint8 images [N, C, H, W] to logits and probabilities [N, classes]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(as_input(image))
        return logits, logits.softmax(1)


def to_onnx(network: nn.Module, shape: Shape) -> onnx.ModelProto:
    example = torch.zeros(2, *shape, dtype=torch.uint8)  # of one image torch would make a constant batch
    program = torch.onnx.export(
        Served(network).eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["logits", "probabilities"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    name_by_layer(proto.graph)
    strip(proto)
    return proto


def name_by_layer(graph: onnx.GraphProto) -> None:
    """Nodes, values and weights take the names of the layers they come from."""
    names = {parameter.name: _layer(parameter.name) for parameter in graph.initializer}
    last = {scope: node for node in graph.node if (scope := _scope(node))}
    for node in graph.node:
        scope = _scope(node)
        node.name = scope if scope and last[scope] is node else f"{scope or 'input'}.{node.output[0]}"
        if scope and last[scope] is node:
            names[node.output[0]] = scope
    before = graph.node[next(i for i, node in enumerate(graph.node) if _scope(node)) - 1]
    before.name = names[before.output[0]] = NORMALIZED
    graph.node[-1].name = "probabilities"
    _rename(graph, {old: new for old, new in names.items() if old not in ("logits", "probabilities")})


def _scope(node: onnx.NodeProto) -> str:
    """The path of the layer within our network, empty for what Served does around it."""
    found = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), "[]")
    layers = [scope for scope in ast.literal_eval(found)[:-1] if scope.startswith("network.")]
    return _layer(layers[-1]) if layers else ""


def _layer(name: str) -> str:
    return name.removeprefix("network.")


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*graph.initializer, *graph.value_info]:
        value.name = names.get(value.name, value.name)


def strip(proto: onnx.ModelProto) -> None:
    """Take out what the exporter says about the machine it ran on: paths of sources, traces, versions of files."""
    graph = proto.graph
    for part in (
        proto,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.name = "cifra"


def describe(proto: onnx.ModelProto, facts: dict[str, Any]) -> None:
    """Metadata under `cifra.`; lists and objects as JSON."""
    texts = {
        f"cifra.{key}": value if isinstance(value, str) else files.json_bytes(value).decode()
        for key, value in facts.items()
    }
    helper.set_model_props(proto, texts)
