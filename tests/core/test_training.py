import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.core.cli.errors import UserError
from stages.core.data.datasets import LabelledImages
from stages.core.networks import networks
from stages.core.training import trainer as training
from stages.core.training.history import Epoch, History
from stages.core.training.settings import Compute, Entry, Recipe
from stages.core.training.trainer import Trainer
from tests.workspace import PARAMS, easy_images

NETWORKS = sorted(PARAMS["models"])
COMPUTE = Compute(precision="fp32", layout="channels_last", compile="none")


def recipe(network: str = "mlp_64_128", **changes: Any) -> Recipe:
    return Entry.model_validate(PARAMS["models"][network] | {"epochs": 2, "batch_size": 16} | changes).on("mnist")


def trainer(network: str = "mlp_64_128", seed: int = 1, **changes: Any) -> Trainer:
    torch.manual_seed(seed)
    chosen = recipe(network, **changes)
    shape = networks.input_shape(network, (1, 28, 28))
    built = networks.build(network, shape, 10, **chosen.layers)
    return Trainer(built, chosen, seed, "cpu", COMPUTE, chosen.augment)


def labelled(count: int, seed: int = 0, size: int = 28) -> LabelledImages:
    images, labels = easy_images(count, seed)
    return LabelledImages(np.pad(images, ((0, 0), (0, size - 28), (0, size - 28)))[:, np.newaxis], labels)


def fit(running: Trainer, count: int = 60, steps: Any = None, epochs: Any = None) -> Trainer:
    size = running.network.shape[-1] if isinstance(running.network, networks.Network) else 28
    running.fit(labelled(count, 0, size), labelled(20, 1, size), steps or (lambda *_: None), epochs or (lambda _: None))
    return running


@pytest.mark.parametrize("network", NETWORKS)
def test_the_loss_falls(network: str) -> None:
    """By each course's own recipe, but for the slow learning rates of two of them and the small set."""
    lr = max(0.01, recipe(network).lr) if "mlp" in network else 0.003
    history = fit(trainer(network, epochs=4, lr=lr, ema_epochs=0.0, augment=None)).history
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    assert history.epochs[-1].validation_loss < history.epochs[0].validation_loss


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_every_optimizer_learns_by_every_loss(optimizer: str, loss: str) -> None:
    lr = 0.1 if optimizer == "sgd" else 0.001
    history = fit(trainer(optimizer=optimizer, loss=loss, lr=lr, epochs=4)).history
    assert history.epochs[-1].validation_loss < history.epochs[0].validation_loss


@pytest.mark.parametrize("network", ["dropout_cnn", "mlp_64_128"])
def test_the_same_seed_gives_the_same_weights(network: str) -> None:
    first, second, other = (fit(trainer(network, seed)).best_weights for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("count", [60, 64, 16, 17])
def test_means_are_over_images_whatever_the_last_batch(count: int) -> None:
    """Held against a second way of counting: each image's own loss, noted while training."""
    running = trainer(batch_size=16, epochs=1)
    seen: list[float] = []
    right: list[bool] = []

    def noted(logits: Tensor, labels: Tensor, *_: object) -> Tensor:
        if torch.is_grad_enabled():
            each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
            seen.extend(each.tolist())
            right.extend((logits.argmax(1) == labels).tolist())
        return torch.nn.functional.cross_entropy(logits, labels)

    running.loss = noted
    epoch = fit(running, count).history.epochs[0]
    assert len(seen) == count
    assert epoch.train_loss == pytest.approx(sum(seen) / count, rel=1e-5)
    assert epoch.train_accuracy == sum(right) / count


@pytest.mark.parametrize("batch", [1, 7, 20, 1000])
def test_evaluation_does_not_depend_on_its_batches(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    network = trainer().network.requires_grad_(False)
    images, labels = torch.from_numpy(labelled(20).images), torch.arange(20) % 10
    wanted = torch.nn.functional.cross_entropy(network(images.float() / 255), labels)
    monkeypatch.setattr(training, "EVALUATION_BATCH", batch)
    loss, _ = training.evaluate(network, images, labels)
    assert loss == pytest.approx(float(wanted), rel=1e-6)


def test_evaluation_switches_dropout_off() -> None:
    running = trainer("dropout_cnn")
    images, labels = torch.from_numpy(labelled(20).images), torch.arange(20) % 10
    assert len({training.evaluate(running.network, images, labels) for _ in range(3)}) == 1


def test_a_batch_larger_than_the_set_is_one_line() -> None:
    with pytest.raises(
        UserError, match=r"^batch_size is 21 but the training set has 20 images: lower it in params\.yaml$"
    ):
        fit(trainer(batch_size=21), count=20)


def orders(shuffle: bool, epochs: int = 3, seed: int = 1) -> list[list[int]]:
    """The numbers of the images as they come to the network, by epoch."""
    seen: list[int] = []
    running = trainer(shuffle=shuffle, seed=seed, epochs=epochs)

    def note(module: torch.nn.Module, inputs: tuple[Tensor]) -> None:
        seen.extend((inputs[0][:, 0, 0, 0] * 255).round().int().tolist() if module.training else [])

    running.forward.register_forward_pre_hook(note)
    numbered = labelled(50)
    numbered.images[:, 0, 0, 0] = np.arange(50)
    running.fit(numbered, labelled(20, 1), lambda *_: None, lambda _: None)
    return [seen[start : start + 50] for start in range(0, len(seen), 50)]


def test_unshuffled_batches_come_as_they_lie_in_every_epoch() -> None:
    assert orders(shuffle=False) == [list(range(50))] * 3


def test_shuffled_batches_differ_by_epoch_and_seed_and_hold_every_image_once() -> None:
    found = orders(shuffle=True) + orders(shuffle=True, seed=2)
    assert len({tuple(order) for order in found}) == 6
    assert all(sorted(order) == list(range(50)) for order in found)


def test_the_order_of_an_epoch_does_not_depend_on_what_was_drawn_before() -> None:
    assert orders(shuffle=True) == orders(shuffle=True)


def test_every_step_is_kept() -> None:
    history = fit(trainer(batch_size=16, epochs=3), count=60).history
    assert len(history.steps) == 3 * 4
    assert all(map(math.isfinite, history.steps))


def test_steps_are_told_while_they_happen() -> None:
    told: list[tuple[int, int]] = []
    fit(trainer(batch_size=1), count=41, steps=lambda epoch, step, _: told.append((epoch, step)))
    assert told == [(1, 0), (1, 20), (1, 40), (2, 0), (2, 20), (2, 40)]


def with_validation_losses(running: Trainer, monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> list[Any]:
    """The weights after each epoch, of a training whose validation losses are these."""
    weights = []
    rest = iter(losses)
    monkeypatch.setattr(training, "evaluate", lambda *_: (next(rest), 0.5))
    fit(running, epochs=lambda it: weights.append({n: w.clone() for n, w in it.network.state_dict().items()}))
    return weights


@pytest.mark.parametrize(
    ("losses", "best"), [([3, 2, 1], 3), ([1, 2, 3], 1), ([3, 1, 2], 2), ([2, 1, 1], 2), ([1, 1, 1], 1)]
)
def test_the_epoch_of_lowest_validation_loss_is_kept(
    monkeypatch: pytest.MonkeyPatch, losses: list[float], best: int
) -> None:
    running = trainer(epochs=3)
    weights = with_validation_losses(running, monkeypatch, losses)
    assert running.history.best.epoch == best
    assert all(torch.equal(kept, weights[best - 1][name]) for name, kept in running.best_weights.items())
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in running.best_weights)


@pytest.mark.parametrize(
    ("patience", "losses", "epochs"),
    [(0, [1, 2, 3, 4, 5], 5), (1, [1, 2, 0, 0, 0], 2), (2, [3, 4, 2, 3, 3], 5), (2, [1, 1, 1, 1, 1], 3)],
)
def test_patience_ends_a_training_that_does_not_get_better(
    monkeypatch: pytest.MonkeyPatch, patience: int, losses: list[float], epochs: int
) -> None:
    running = trainer(epochs=5, patience=patience)
    with_validation_losses(running, monkeypatch, losses)
    assert len(running.history.epochs) == epochs


def test_a_loss_that_is_no_number_is_one_line() -> None:
    running = trainer(optimizer="sgd", loss="mse", lr=10.0, epochs=50)
    with pytest.raises(UserError, match=r"^the loss of epoch \d+ is not a number: lower lr \(now 10\.0\) in params"):
        fit(running)
    assert all(map(math.isfinite, running.history.steps))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_validation_loss_that_is_no_number_is_an_error(monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    with pytest.raises(UserError, match="is not a number"):
        with_validation_losses(trainer(epochs=2), monkeypatch, [1, bad])


def test_mse_is_that_to_the_one_hot_labels() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 2.0]])
    wanted = (0 + 0 + 0.25 + 0 + 0 + 1) / 6
    assert float(training.mse(logits, torch.tensor([0, 2]), 0)) == pytest.approx(wanted)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_smoothed_label_asks_for_less_than_certainty(loss: str) -> None:
    """The best answer under smoothing is its very shares: 0.9 + 0.1 / 2 and 0.1 / 2 of two classes."""
    shares, label = torch.tensor([[0.95, 0.05]]), torch.tensor([0])
    best = shares.log() if loss == "cross_entropy" else shares
    at_best, bolder = (float(training.LOSSES[loss](logits, label, 0.1)) for logits in (best, best * 2))
    assert at_best < bolder


@pytest.mark.parametrize(
    ("schedule", "rates"), [("constant", [1, 1, 1, 1, 1]), ("linear_warmup_decay", [0, 1, 2 / 3, 1 / 3, 0])]
)
def test_the_learning_rate_follows_its_schedule(schedule: str, rates: list[float]) -> None:
    running = trainer(schedule=schedule, lr=0.1, epochs=4, batch_size=10)
    rates_seen = noting(running, lambda: None)[0]
    fit(running, count=20)
    assert rates_seen[::2] == pytest.approx([0.1 * rate for rate in rates[:4]])
    assert len(rates_seen) == 8


def noting(running: Trainer, what: Callable[[], Any]) -> tuple[list[float], list[Any]]:
    """The learning rate of each step, and what is seen after it."""
    rates: list[float] = []
    seen: list[Any] = []
    step = running.optimizer.step

    def noted(lr: float) -> None:
        rates.append(lr)
        step(lr)
        seen.append(what())

    running.optimizer.step = noted  # type: ignore[method-assign, assignment]
    return rates, seen


@pytest.mark.parametrize("name", ["fc1.weight", "norm1.running_var"])
def test_what_is_kept_is_the_mean_of_the_weights_of_so_many_epochs(name: str) -> None:
    """From the first step on, with no part of the random weights of the start."""
    running = trainer("best_cnn", filters=[4, 4], ema_epochs=1.0, epochs=1)
    seen = noting(running, lambda: running.network.state_dict()[name].clone())[1]
    fit(running)
    torch.testing.assert_close(running.best_weights[name], torch.stack(seen).mean(0))


def test_an_average_of_less_than_the_run_leaves_its_beginning_behind() -> None:
    running = trainer("best_cnn", filters=[4, 4], ema_epochs=0.5, epochs=4)
    seen = noting(running, lambda: running.network.state_dict()["fc1.weight"].clone())[1]
    fit(running)
    kept = running.averaged.state_dict()["fc1.weight"]
    late, early = (float((kept - torch.stack(part).mean(0)).abs().mean()) for part in (seen[-4:], seen[:4]))
    assert late < early


def test_an_average_over_no_more_than_a_step_is_the_weights() -> None:
    running = fit(trainer("best_cnn", filters=[4, 4], ema_epochs=0.01, epochs=1))
    assert torch.equal(running.best_weights["fc1.weight"], running.network.state_dict()["fc1.weight"])


def test_the_averaged_weights_are_what_is_evaluated() -> None:
    running = fit(trainer("best_cnn", filters=[4, 4], ema_epochs=1.0, epochs=1))
    held = labelled(20, 1)
    images, labels = torch.from_numpy(held.images), torch.from_numpy(held.labels).long()
    last = running.history.epochs[-1]
    assert training.evaluate(running.averaged, images, labels) == (last.validation_loss, last.validation_accuracy)
    assert training.evaluate(running.network, images, labels)[0] != last.validation_loss


@pytest.mark.parametrize("changes", [{"label_smoothing": 0.3}, {"loss": "mse"}], ids=str)
def test_the_validation_loss_is_plain_cross_entropy_whatever_is_trained_by(changes: dict[str, Any]) -> None:
    running = fit(trainer(epochs=1, **changes))
    held = labelled(20, 1)
    logits = running.network.eval().requires_grad_(False)(torch.from_numpy(held.images).float() / 255)
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(held.labels).long())
    assert running.history.epochs[0].validation_loss == pytest.approx(float(wanted), rel=1e-5)


def weights_after(**changes: Any) -> bytes:
    found = fit(trainer("best_cnn", **({"filters": [4, 4], "augment": None} | changes))).best_weights
    return b"".join(value.numpy().tobytes() for value in found.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"weight_decay": 0.5},
        {"label_smoothing": 0.5},
        {"schedule": "constant"},
        {"ema_epochs": 0.0},
        {"augment": {"rotation": 20.0}},
        {"augment": {"mnist": {"rotation": 20.0}}},
        {"optimizer": "adam"},
        {"loss": "mse"},
        {"shuffle": False},
        {"lr": 0.02},
        {"batch_size": 20},
        {"epochs": 1},
    ],
    ids=str,
)
def test_every_option_of_a_recipe_has_an_effect(changes: dict[str, Any]) -> None:
    assert weights_after(**changes) != weights_after()


def test_an_augmentation_for_another_data_set_has_none() -> None:
    assert weights_after(augment={"digits": {"rotation": 20.0}}) == weights_after()


def test_weight_decay_makes_weights_smaller() -> None:
    size = {
        decay: float(fit(trainer(optimizer="adamw", lr=0.01, weight_decay=decay)).best_weights["fc1.weight"].norm())
        for decay in (0.0, 1.0)
    }
    assert size[1.0] < size[0.0]


@pytest.mark.parametrize("network", NETWORKS)
def test_pooling_before_the_relu_changes_no_bit(network: str) -> None:
    built = trainer(network).network.eval()
    images = torch.rand(3, *built.shape).contiguous(memory_format=torch.channels_last)
    gradients = []
    for forward in (built, built.reordered()):
        built.zero_grad()
        forward(images).square().sum().backward()
        gradients.append([weight.grad for weight in built.parameters() if weight.grad is not None])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_memory_that_runs_out_says_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    running = trainer()

    def full(*_: Any) -> Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(running, "_logits", full)
    with pytest.raises(UserError, match=r"^memory ran out: lower batch_size \(now 16\)"):
        fit(running)


def test_other_errors_of_torch_are_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    running = trainer()

    def broken(*_: Any) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(running, "_logits", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        fit(running)


def test_pixels_become_shares_of_white() -> None:
    assert training.as_input(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_a_history_comes_back_from_its_text_as_it_was() -> None:
    history = History([Epoch(1, 0.1, 1 / 3, 2 / 3, 0.5)], [math.pi, 1e-12])
    assert History.parse(history.dump()) == history


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_balanced_weights_let_a_rare_class_count_as_much_as_a_common_one(loss: str) -> None:
    labels = torch.tensor([0] * 9 + [1])
    weights = training.balancing(labels, 2)
    logits = torch.tensor([[2.0, -1.0]] * 10)
    each = [float(training.LOSSES[loss](logits[labels == kind], labels[labels == kind], 0.0)) for kind in (0, 1)]
    assert float(training.LOSSES[loss](logits, labels, 0.0, weights)) == pytest.approx(sum(each) / 2)
