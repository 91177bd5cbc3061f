"""Draw the figures of one network, in English or Spanish (`language` in params.yaml).

    python -m stages.render lenet_28

What happens inside a network is read from its ONNX file.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from serve.inference.layers import Inspector
from serve.inference.model import Model
from stages.core.cli import files, params
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import FIGURES, MODELS
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.figures import curves, filters, maps, samples, scores, style, tables
from stages.core.figures.maps import LayerActivations
from stages.core.figures.outcome import Outcome
from stages.core.figures.style import Sheet
from stages.core.figures.words import Translator

Named = Iterator[tuple[str, Sheet]]
ACTIVITY = 256  # test images that tell which units are active


def main(network: str) -> None:
    settings = params.load()
    metadata, test = datasets.metadata(), datasets.load("test")
    chosen = choose(settings.render.test_images, len(test))
    outcome = Outcome.read(network, metadata)
    t = Translator(settings.language)
    count = 0
    with style.applied(), files.fresh_folder(FIGURES / network) as fresh:
        for name, sheet in chain(draw_scores(outcome, test, t), draw_inside(outcome, test, chosen, t)):
            sheet.save(fresh / f"{name}.png")
            count += 1
    print(f"{count} figures in {FIGURES / network}")


def choose(numbers: Sequence[int], count: int) -> list[int]:
    """The chosen test images, each once."""
    beyond = [number for number in numbers if number >= count]
    if beyond:
        raise UserError(
            f"params.yaml: render.test_images has {beyond[0]}, but the test set has {count} images: "
            f"allowed is 0 to {count - 1}"
        )
    return list(dict.fromkeys(numbers))


def draw_scores(outcome: Outcome, test: LabelledImages, t: Translator) -> Named:
    yield "steps", curves.steps(outcome, t)
    yield "epochs", curves.epochs(outcome, t)
    yield "confusion", scores.confusion(outcome, t)
    yield "mistakes", samples.mistakes(outcome, test.images[:, 0], t)
    yield "layers", tables.layers(outcome, t)


def draw_inside(outcome: Outcome, test: LabelledImages, chosen: list[int], t: Translator) -> Named:
    inspector = Inspector(Model.load(MODELS / f"{outcome.network}.onnx"))
    size = inspector.model.input_shape[-1]
    yield "filters", filters.filters(inspector, datasets.resize(test.images[:ACTIVITY], size), t)
    looked = look(inspector, datasets.resize(test.images[chosen], size), chosen, test.labels[chosen])
    for index, number in enumerate(chosen):
        yield f"feature_maps_{number}", maps.feature_maps(looked, index, t)
    for layer in looked.layers:
        if layer.kind == "convolution":
            yield f"compared_{layer.name}", maps.compared(looked, layer, t)


def look(
    inspector: Inspector, images: NDArray[np.uint8], numbers: list[int], labels: NDArray[np.uint8]
) -> LayerActivations:
    actual = [inspector.model.classes[label] for label in labels]
    return LayerActivations(inspector, numbers, images, actual, inspector.activations(images))


if __name__ == "__main__":
    command(main, __doc__)
