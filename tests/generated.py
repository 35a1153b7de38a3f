"""Random networks as text: every op, several ranks, paddings, branches and unknown sizes; and what must agree on them."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from specc.backends import onnx as onnx_backend
from specc.backends.onnx_file import write as write_onnx
from specc.backends.onnx_weights import Arrays
from specc.backends.pytorch import load, write
from specc.compiler import Compilation, compile_text
from specc.deploy.proof import open_session, prove, random_inputs, trials
from specc.model.graph import Model
from specc.model.report import report
from specc.sizes.dim import evaluate

LETTERS = {1: "LMN", 2: "HWU", 3: "DHW"}
NOT_COUNTED_ALIKE = {"matmul"}


@dataclass
class Coverage:
    """How often each op, and each of the modes worth telling apart, was in a network that agreed."""

    ops: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)


class Writer:
    """Writes one random network, line by line; lines that do not check are taken out afterwards."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rank = self.random.choice([0, 1, 1, 2, 2, 2, 3])
        self.unknown = self.rank > 0 and self.random.random() < 0.45
        self.labels: list[str] = []
        self.lines: list[str] = []

    def text(self) -> str:
        """A network of a few to a dozen lines."""
        self.lines = [f"    input x: [{self._shape()}]"]
        for _ in range(self.random.randint(2, 9)):
            self._line()
        if self.random.random() < 0.5:
            self.lines += self._head()
        return self._wrap(self.lines)

    def _wrap(self, lines: list[str]) -> str:
        return "network N {\n" + "\n".join(lines) + "\n}\n"

    def _shape(self) -> str:
        if self.rank == 0:
            return str(self.random.randint(1, 9))
        sides = []
        for at in range(self.rank):
            known = not self.unknown or self.random.random() < 0.25
            sides.append(str(self.random.randint(5, 12)) if known else LETTERS[self.rank][at])
        return ", ".join([str(self.random.choice([1, 2, 3, 4, 6])), *sides])

    def _line(self) -> None:
        pick = self.random.random()
        if self.labels and pick < 0.25:
            self.lines.append("    " + self._join())
            return
        step = self._step()
        if pick < 0.6:
            label = f"t{len(self.labels)}"
            self.labels.append(label)
            step = f"{label}: {step}" + (f" -> {self._step()}" if self.random.random() < 0.3 else "")
        elif pick < 0.68:
            step = f"{{ {step}; {self._step()} }}"
        elif pick < 0.74:
            step = f"repeat {self.random.randint(1, 3)} {{ {step} }}"
        elif pick < 0.8:
            label = f"t{len(self.labels)}"
            self.labels.append(label)
            step = f"concat({label}p, axis=0)".join([f"{label}p: parallel {{ {step}; {self._step()} }}\n    {label}: ", ""])
        self.lines.append(f"    {step}")

    def _join(self) -> str:
        some = self.random.sample(self.labels, min(len(self.labels), self.random.randint(1, 2)))
        a, b = some[0], some[-1]
        choice = self.random.choice
        sign = choice(["+", "-", "*", "/"])
        other = choice([b, str(self.random.randint(1, 3)), f"{self.random.random():.2f}"])
        if sign == "/" and other == b:
            other = f"(2 + sigmoid({b}))"
        forms = [f"{a} {sign} {other}", f"concat({a}, {b})", f"sum([{a}, {b}])", f"stack({a}, {b}) -> sum(axis=0)", f"max({a}, {b})"]
        forms += [f"crop({a}, like={b})", f"-{a}", f"abs({a})", f"{a}[:1]", f"{a} -> relu", f"exp(tanh({a}))", f"sqrt(abs({a}) + 1)"]
        return choice(forms)

    def _step(self) -> str:
        return self.random.choice(self._spatial() if self.rank else self._flat())

    def _flat(self) -> list[str]:
        n = self.random.randint(1, 8)
        return [f"linear({n})", f"linear({n}, bias=false)", "batchnorm", "dropout(0.3)", *self._pointwise()]

    def _spatial(self) -> list[str]:
        r = self.random
        c, k, s = r.randint(1, 6), r.randint(1, 4), r.randint(1, 3)
        pads = ["0", "1", "same", "valid", "full", f"{k // 2}", "[" + ", ".join(f"[{r.randint(0, 2)}, {r.randint(0, 2)}]" for _ in range(self.rank)) + "]"]
        if self.rank == 1:
            pads.append("causal")
        fit = r.choice(["", ", fit=down"])
        kernel = str(k) if r.random() < 0.7 else "[" + ", ".join(str(r.randint(1, 3)) for _ in range(self.rank)) + "]"
        conv = f"conv({c}, {kernel}, stride={s}, padding={r.choice(pads)}{fit}"
        pool = f"{r.randint(1, 3)}, stride={r.randint(1, 3)}, padding={r.choice(['0', '0', '1'])}{r.choice(['', ', fit=down', ', fit=up'])}"
        table = ", ".join(f"[{', '.join(str(v) for v in sorted(r.sample(range(2), r.randint(1, 2))))}]" for _ in range(c))
        return [
            conv + ")", conv + f", dilation={r.randint(1, 2)})", conv + f", groups={r.choice([1, 2, 3])}, bias=false)",
            f"conv({c}, {k}, table=[{table}])", f"conv({c}, 3, padding=same)", f"conv({c}, 1)",
            f"upconv({c}, {k}, stride={s}, padding={r.choice([0, 0, 1])}, output_padding={r.choice([0, 0, 1])})", f"upconv({c}, 2, stride=2)",
            f"maxpool({pool})", f"avgpool({pool})", f"avgpool({pool}, count_padding=false)", "maxpool(2)", "avgpool(2)",
            f"adaptive_avgpool({r.randint(1, 3)})", f"adaptive_maxpool({r.randint(1, 3)})", "batchnorm", f"lrn({r.choice([1, 3, 5])})",
            f"pad({r.randint(0, 2)}, mode={r.choice(['zeros', 'reflect', 'replicate'])})", f"pad(multiple={r.choice([2, 4])})",
            "dropout(0.5)", "channel_dropout(0.2)", f"prelu(per={r.choice(['all', 'channel'])})", "softmax(axis=0)", "flatten(from=1)",
            f"mean(axis={r.randint(0, self.rank)}, keep=true)", f"max(axis={r.randint(0, self.rank)}, keep=true)", *self._pointwise(),
        ]  # fmt: skip

    def _pointwise(self) -> list[str]:
        names = ["relu", "relu6", "leaky_relu(0.2)", "elu(0.7)", "gelu", "gelu(approximate=true)", "silu", "sigmoid", "tanh", "identity"]
        return [*names, "mish", "softplus", "hardswish", "hardsigmoid", "prelu"]

    def _head(self) -> list[str]:
        if self.rank == 0:
            return ["    linear(4) -> softmax"]
        n = self.random.randint(2, 5)
        ends = [["global_avgpool", f"linear({n})", "softmax"], ["flatten", f"linear({n})"], ["global_maxpool", "sigmoid"]]
        pattern = {1: "c l -> l c", 2: "c h w -> (h w) c", 3: "c d h w -> (d h w) c"}[self.rank]
        ends += [[f'rearrange("{pattern}")', f"linear({n})", "softmax(axis=-1)"], ["log_softmax(axis=0)"], ["argmax(axis=0)"]]
        return [f"    {each}" for each in self.random.choice(ends)]


def valid(seed: int) -> Compilation | None:
    """A network that checks: lines with errors are taken out until none is left; None if nothing remains."""
    writer = Writer(seed)
    text = writer.text()
    for _ in range(12):
        found = compile_text(text, f"generated{seed}.net", fixes=False)
        errors = [each for each in found.bag if each.severity == "error"]
        if not errors:
            return found if found.models and found.model().steps else None
        guilty = {each.span.line for each in errors if each.span is not None}
        lines = text.splitlines()
        if guilty <= {1, 2} or not guilty:
            return None
        text = "\n".join(line for at, line in enumerate(lines, 1) if at not in guilty or at <= 2) + "\n"
    return None


def agree(found: Compilation, coverage: Coverage) -> None:
    """Shapes, counts and values of specc, PyTorch and onnxruntime on one network."""
    model = found.model()
    module = built(model)
    _same_weights(model, module)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        arrays = {key: value.numpy() for key, value in module.state_dict().items()}
        write_onnx(onnx_backend.lower(model, weights=Arrays(arrays)), path)
        prove(model, path, module)
        _same_shapes(model, module, path)
    for step in model.steps:
        coverage.ops[step.op.name] += 1
    coverage.marks["unknown sizes" if any(not isinstance(n, int) for n in model.type(model.inputs[0].value).shape) else "known sizes"] += 1
    coverage.marks[f"rank {model.type(model.inputs[0].value).rank}"] += 1


def built(model: Model) -> Any:
    """The generated module in eval mode, with weights that are all different and running statistics that matter."""
    torch.manual_seed(0)
    module = load(write(model), model.name)().eval()
    for key, value in module.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.3)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif key.endswith(("weight", "bias")) and value.dim() == 1:
            value.uniform_(0.4, 1.2)
    return module


def _same_weights(model: Model, module: Any) -> None:
    said = report(model)
    state = {key: list(value.shape) for key, value in module.state_dict().items()}
    assert list(state.items()) == [(key, shape) for key, shape in said["state_dict"]]
    assert said["parameters"] == sum(value.numel() for value in module.parameters())
    parameters = dict(module.named_parameters())
    assert said["buffers"] == sum(value.numel() for key, value in module.state_dict().items() if key not in parameters)


def _same_shapes(model: Model, module: Any, path: Path) -> None:
    """Output shapes and multiply-adds at the sizes of the proof, and onnxruntime's own shapes."""
    session = open_session(path)
    said = report(model)
    for sizes, batch in trials(model)[:2]:
        inputs = random_inputs(model, sizes, batch, seed=1)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            result = module(*(torch.from_numpy(value) for value in inputs.values()))
        outputs = result if isinstance(result, dict) else {"output": result}
        for port in model.outputs:
            wanted = [batch, *(evaluate(size, sizes) for size in model.type(port.value).shape)]
            assert list(outputs[port.name].shape) == wanted
        ran = session.run(None, dict(inputs))
        for port, value in zip(model.outputs, ran, strict=True):
            assert list(value.shape) == [batch, *(evaluate(size, sizes) for size in model.type(port.value).shape)]
        if not any("table" in step.expressions or step.op.name in NOT_COUNTED_ALIKE for step in model.steps):
            macs = sum(evaluate(step.macs, sizes) for step in model.inference)
            assert counter.get_total_flops() == 2 * batch * macs, said["macs"]
