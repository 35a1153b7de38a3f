"""What a lower precision costs: ranges from the training part of a run, figures on its test part beside those of fp32."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from specc.backends.onnx_file import write
from specc.backends.onnx_int8 import watched
from specc.backends.onnx_weights import WeightSource
from specc.deploy.form import Form
from specc.deploy.proof import open_session
from specc.model.graph import Model
from specc.model.heads import outputs


@dataclass(frozen=True, slots=True)
class Lost:
    """The figure by which files are compared: its name, in this file and in fp32, and how much worse it is."""

    name: str
    got: float
    single: float

    @property
    def loss(self) -> float:
        """Of a figure that rises the difference, of the loss the share by which it grew."""
        if self.name != "loss":
            return self.single - self.got
        return (self.got - self.single) / max(abs(self.single), 1e-12)


class Measured:
    """The data and the metrics of a run, for files of its network."""

    def __init__(self, run: Any, model: Model, weights: WeightSource) -> None:
        from specc.train import program as programs

        self._model, self._weights = model, weights
        compilation = run.compile()
        _, self._program = programs.chosen(compilation, run.phase)
        device = programs.device_of("cpu")
        self._samples = programs.samples(model, self._program, run.project, device)
        counts = tuple(run.config["data"].get("class_counts", ()))
        sources = programs.write(model, self._program, self._samples.facts.target, counts=counts)
        self._code = programs.build(model, self._program, sources, device)

    def close(self) -> None:
        self._samples.feed.close()

    def ranges(self, form: Form, count: int) -> dict[str, tuple[float, float]]:
        """Between which numbers each tensor lies for some training samples, by its name in a file without `prepare`."""
        found: dict[str, tuple[float, float]] = {}
        for each in (replace(form, inside={}), self._tried(form)):
            found |= self._seen(replace(each, precision="fp32"), count)
        return found

    def _seen(self, form: Form, count: int) -> dict[str, tuple[float, float]]:
        import onnx
        import onnxruntime

        graph = form.lower(self._model, self._weights)
        names = watched(graph)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "single.onnx"
            write(graph, path, side_file=False)
            proto = onnx.load(str(path))
        given = {each.name for each in proto.graph.input}
        known = {each.name: each for each in proto.graph.value_info}
        proto.graph.output.extend(known[name] for name in names if name in known)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        asked = [each.name for each in session.get_outputs()]
        found: dict[str, tuple[float, float]] = {}
        for inputs, _ in self._samples.feed.batches(self._samples.parts.train[:count], self._program.batch):
            arrays = {name: each.numpy() for name, each in inputs.items() if name in given}
            made = arrays | dict(zip(asked, session.run(asked, arrays), strict=True))
            for name in names:
                least, greatest = found.get(name, (0.0, 0.0))
                found[name] = (min(least, float(made[name].min())), max(greatest, float(made[name].max())))
        return found

    def _tried(self, form: Form) -> Form:
        """The form that takes what the network takes and gives what stands before its heads."""
        names = [name for name, port in outputs(self._model).items() if not port.training]
        return replace(form, inside={}, outputs=tuple(f"{name}.logits" for name in names))

    def figures(self, form: Form) -> dict[str, float]:
        """Loss and metrics of the test part, by onnxruntime on a file of this form."""
        from specc.train.measure import measure

        with self._running(form) as code:
            return dict(measure(code, self._samples.feed, self._samples.parts.test))

    def compared(self, form: Form) -> tuple[Lost, dict[str, Any]]:
        """What the precision costs, and all figures for the file's description."""
        got, single = (self.figures(each) for each in (form, replace(form, precision="fp32")))
        name = next((each.label for each in self._code.measures if each.metric.entry.rises), "loss")
        said = {"part": "test", "samples": len(self._samples.parts.test), form.precision: got, "fp32": single}
        return Lost(name, got[name], single[name]), said

    @contextmanager
    def _running(self, form: Form) -> Iterator[Any]:
        """The program with a file in the place of its module."""
        import torch

        names = [name for name, port in outputs(self._model).items() if not port.training]
        form = self._tried(form)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tried.onnx"
            write(form.lower(self._model, self._weights), path)
            session = open_session(path)
            taken = [each.name for each in session.get_inputs()]
            order = [port.name for port in self._model.inputs]

            def forward(*inputs: Any) -> Mapping[str, Any]:
                arrays = {name: each.numpy() for name, each in zip(order, inputs, strict=True) if name in taken}
                return dict(zip(names, map(torch.from_numpy, session.run(None, arrays)), strict=True))

            yield replace(self._code, forward=forward)
