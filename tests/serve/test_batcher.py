import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.http.messages import Problem
from serve.inference import limits
from serve.inference.batcher import Batcher
from serve.inference.model import Answer, Model

Make = Callable[..., np.ndarray]


class Fake:
    """A model whose logits tell which image they belong to, and which notes what it ran."""

    def __init__(self, seconds: float = 0.0, delay: float = 0.0, bad: int | None = None) -> None:
        self.seconds, self.delay, self.bad = seconds, delay, bad
        self.runs: list[list[int]] = []

    def predict(self, images: np.ndarray) -> Answer:
        numbers = images[:, 0, 0, 0]
        self.runs.append(numbers.tolist())
        time.sleep(self.delay)
        if self.bad in numbers:
            raise RuntimeError("a bad image")
        values = numbers.astype(np.float32)[:, None]
        return Answer(values, values, values[:, :0])


def _run(scenario: Callable[[Batcher], Any]) -> Any:
    async def run() -> Any:
        with ThreadPoolExecutor(1) as workers:
            return await scenario(Batcher(workers, lambda **_: None))

    return asyncio.run(run())


def _submit(batcher: Batcher, model: Any, number: int, count: int = 1) -> "asyncio.Future[Answer]":
    return batcher.submit(model, np.full((count, 1, 2, 2), number, np.uint8))


def test_what_is_queued_together_runs_together() -> None:
    model = Fake()

    async def scenario(batcher: Batcher) -> list[Answer]:
        return list(await asyncio.gather(*(_submit(batcher, model, number) for number in range(5))))

    answers = _run(scenario)
    assert model.runs == [[0, 1, 2, 3, 4]]
    assert [answer.logits.item() for answer in answers] == [0, 1, 2, 3, 4]


def test_it_never_waits_for_more() -> None:
    model = Fake()

    async def scenario(batcher: Batcher) -> float:
        started = time.perf_counter()
        await _submit(batcher, model, 1)
        return time.perf_counter() - started

    assert _run(scenario) < 0.05
    assert model.runs == [[1]]


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["inline", "in a thread"])
def test_what_arrives_meanwhile_is_the_next_batch(seconds: float) -> None:
    model = Fake(seconds, delay=0.05)

    async def scenario(batcher: Batcher) -> None:
        first = _submit(batcher, model, 0)
        await asyncio.sleep(0.01)
        rest = [_submit(batcher, model, number) for number in (1, 2, 3)]
        await asyncio.gather(first, *rest)

    _run(scenario)
    assert model.runs == [[0], [1, 2, 3]]


def test_batches_are_bounded() -> None:
    model = Fake()

    async def scenario(batcher: Batcher) -> None:
        await asyncio.gather(*(_submit(batcher, model, number, count=30) for number in range(5)))

    _run(scenario)
    assert [len(run) for run in model.runs] == [60, 60, 30]


def test_two_files_never_share_a_batch() -> None:
    old, new = Fake(), Fake()

    async def scenario(batcher: Batcher) -> None:
        await asyncio.gather(*(_submit(batcher, model, 1) for model in (old, old, new, old)))

    _run(scenario)
    assert (old.runs, new.runs) == ([[1, 1], [1]], [[1]])


def test_a_bad_image_fails_alone() -> None:
    model = Fake(bad=2)

    async def scenario(batcher: Batcher) -> list[Any]:
        answers = (_submit(batcher, model, number) for number in range(4))
        return list(await asyncio.gather(*answers, return_exceptions=True))

    answers = _run(scenario)
    assert isinstance(answers[2], RuntimeError)
    assert [answers[i].logits.item() for i in (0, 1, 3)] == [0, 1, 3]


def test_what_nobody_waits_for_does_not_run() -> None:
    model = Fake()

    async def scenario(batcher: Batcher) -> None:
        _submit(batcher, model, 1).cancel()
        await _submit(batcher, model, 3)

    _run(scenario)
    assert model.runs == [[3]]


def test_whoever_leaves_during_the_run_takes_nothing_from_the_others() -> None:
    model = Fake(seconds=1.0, delay=0.1)

    async def scenario(batcher: Batcher) -> Answer:
        leaving, staying = _submit(batcher, model, 1), _submit(batcher, model, 2)
        await asyncio.sleep(0.05)
        leaving.cancel()
        return await staying

    assert _run(scenario).logits.item() == 2


def test_the_queue_is_bounded() -> None:
    async def scenario(batcher: Batcher) -> Problem:
        for number in range(limits.QUEUE_IMAGES):
            _submit(batcher, Fake(), number % 256)
        with pytest.raises(Problem) as refusal:
            _submit(batcher, Fake(), 0)
        async with asyncio.timeout(10):
            while batcher.waiting:
                await asyncio.sleep(0.01)
        return refusal.value

    problem = _run(scenario)
    assert (problem.status, problem.headers) == (429, {"retry-after": "1"})


def test_any_mixture_gives_the_bytes_of_single_runs(models_dir: Path, images: Make) -> None:
    model = Model.load(models_dir / "lenet_28.onnx")
    sizes = np.random.default_rng(0).integers(1, 9, 40)

    async def scenario(batcher: Batcher) -> list[Answer]:
        futures = []
        for i, size in enumerate(sizes):
            futures.append(batcher.submit(model, images(size, seed=i)))
        return list(await asyncio.gather(*futures))

    for i, answer in enumerate(_run(scenario)):
        assert answer.logits.tobytes() == model.predict(images(sizes[i], seed=i)).logits.tobytes()
