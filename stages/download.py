"""Get the data set that params.yaml names, and publish it as data/raw.

    python -m stages.download

`digits` ships with scikit-learn and needs no network. `folder` and `idx` are images of your own, below folder.path.
The others come from their authors' mirrors.
CIFRA_MIRROR=http://host or CIFRA_MIRROR=/a/folder replaces the mirrors: MNIST/train-images-idx3-ubyte.gz
and so on are looked for there, in folders named as torchvision names its data sets.
"""

from stages.core.cli import params, paths
from stages.core.cli.command import command
from stages.core.data import datasets
from stages.core.sources import catalogue as sources


def main() -> None:
    chosen = params.load()
    source = sources.read(chosen.dataset, chosen.folder)
    metadata = {
        "dataset": chosen.dataset,
        "classes": list(source.classes),
        "files": source.files,
        "preparation": source.preparation,
        "names": source.names,
    }
    datasets.publish(paths.RAW, source.arrays, metadata)
    counts = ", ".join(
        f"{len(array):,} {name.replace('_', ' ')}" for name, array in source.arrays.items() if "images" in name
    )
    print(f"{chosen.dataset}: {counts}, {len(source.classes)} classes")


if __name__ == "__main__":
    command(main, __doc__)
