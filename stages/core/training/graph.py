"""A step of a training as one CUDA graph: launched at once, where launching each kernel takes longer than it runs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

Step = Callable[..., tuple[Tensor, ...]]
WARM_UP = 3  # steps before the capture, in which cuDNN and cuBLAS choose and allocate


class GraphedStep:
    """Calls the step; from the fourth call on by replaying a graph of it, for batches as large as the first one's.

    The first calls are steps of the training like all others, and a capture runs nothing, so that weights and random
    numbers are those of a training without a graph. What cannot be captured goes on without one, and says so once.
    """

    def __init__(self, step: Step, undo: Callable[[], None]) -> None:
        self.step = step
        self.undo = undo  # what a step that failed half-way may have left
        self.stream = torch.cuda.Stream()
        self.calls = 0
        self.inputs: list[Tensor] = []
        self.outputs: tuple[Tensor, ...] = ()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.works = True

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the step returns, on tensors that the next call writes to."""
        self.calls += 1
        if self.calls == 1:
            self.inputs = [value.clone() for value in inputs]
        is_usual = [value.shape for value in inputs] == [value.shape for value in self.inputs]
        if not self.works or not is_usual or self.calls <= WARM_UP:
            return self.step(*inputs)
        for own, value in zip(self.inputs, inputs, strict=True):
            own.copy_(value)
        if self.graph is None:
            self._capture()
        if self.graph is None:
            return self.step(*inputs)
        self.graph.replay()
        return self.outputs

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        """All steps run on the stream of the capture: gradients remember the stream that they were first added on."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        random = torch.cuda.default_generators[torch.cuda.current_device()]
        before = random.clone_state()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.outputs = self.step(*self.inputs)
        except RuntimeError as error:
            self.works = False
            random.graphsafe_set_state(before)  # torch leaves it as if the capture went on
            self.undo()
            torch.cuda.synchronize()
            reason = str(error).strip().splitlines()[0]
            print(f"a step cannot be captured as a CUDA graph ({reason}): training goes on without", file=sys.stderr)
        else:
            self.graph = graph
