"""Draw one network's figures for a lecture, in English or Spanish (`language` in params.yaml).

    python -m stages.render lenet_28

What happens inside the network is read from its ONNX file.
"""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from serve.inference.layers import Inspector
from serve.inference.model import Model, ModelError
from stages.core.cli import params
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import FIGURES, MODELS
from stages.core.cli.progress import watched
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.figures import curves, inside, scores, style, tables
from stages.core.figures.certainty import certainty
from stages.core.figures.inside import LayerActivations
from stages.core.figures.outcome import Outcome
from stages.core.figures.words import Translator

ACTIVITY = 256  # test images that tell which units are active


def main(network: str) -> None:
    settings = params.load()
    settings.recipe(network)  # or an error in one line
    test = datasets.load("test")
    chosen = choose(settings.render.test_images, len(test))
    outcome = Outcome.read(network, datasets.metadata())
    figures = draw(outcome, test, chosen, Translator(settings.language))
    count = style.publish(FIGURES / network, watched(figures, f"{network}: drawing", "figure"))
    print(f"{network}: {count} figures in {FIGURES / network}")


def choose(numbers: Sequence[int], count: int) -> list[int]:
    """The chosen test images, each once."""
    beyond = [number for number in numbers if number >= count]
    if beyond:
        raise UserError(
            f"params.yaml: render.test_images has {beyond[0]}, but the test set has {count} images: "
            f"allowed is 0 to {count - 1}"
        )
    return list(dict.fromkeys(numbers))


def draw(outcome: Outcome, test: LabelledImages, chosen: list[int], t: Translator) -> Iterator[tuple[str, Figure]]:
    """Every figure of the network and its name, one at a time."""
    yield "steps", curves.steps(outcome, t)
    yield "epochs", curves.epochs(outcome, t)
    yield "confusion", scores.confusion(outcome, t)
    yield "mistakes", scores.mistakes(outcome, test.images, t)
    yield "certainty", certainty(outcome, t)
    yield "layers", tables.layers(outcome, t)
    inspector = inspect(outcome.network)
    size = inspector.model.input_shape[-1]
    yield "filters", inside.filters(inspector, datasets.resize(test.images[:ACTIVITY], size), t)
    actual = [outcome.classes[label] for label in test.labels[chosen]]
    looked = LayerActivations(inspector, chosen, datasets.resize(test.images[chosen], size), actual)
    for index, number in enumerate(chosen):
        yield f"feature_maps_{number}", inside.feature_maps(looked, index, t)
    for layer in looked.layers:
        if layer.kind == "convolution":
            yield f"compared_{layer.name}", inside.compared(looked, layer, t)


def inspect(network: str) -> Inspector:
    try:
        return Inspector(Model.load(MODELS / f"{network}.onnx"))
    except ModelError as error:
        raise UserError(f"{error}: run `dvc repro export@{network}`, which makes it") from None


if __name__ == "__main__":
    command(main, __doc__)
