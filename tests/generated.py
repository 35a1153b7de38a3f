"""Random networks as text: every op, several ranks, inputs, outputs, blocks, shared modules, weights and unknown sizes."""

from __future__ import annotations

import random
import re

from agreement import Coverage, agree
from proved import symbols_of

from specc.compiler import Compilation, compile_text
from specc.model.graph import Model
from specc.sizes.conditions import examples

LETTERS = {1: "LMN", 2: "HWU", 3: "DHW"}
BLOCKS = (
    "block Plain(c: int, k: int = 3) { conv(c, k, padding=same); relu }",
    "block Named(c: int, k: int = 1) { first: conv(c, k, padding=same); batchnorm; last: conv(c, 1); tanh }",
    "block Low(c: int) { a: conv(c, 1); output low: relu; b: conv(c, 3, padding=1); b + low }",
    "block Join(other: tensor, c: int) { conv(c, 1) as here; concat(here, other); sigmoid }",
    "block Rest(c: int): [C, *S] -> [c, *S] { conv(c, 3, padding=1) as y; if C != c { y + conv(input, c, 1) } else { y + input } }",
    "block Scale(by: float = 1.0): [C, *S] { parameter s: [C], init=normal; input * mean(s) * by }",
    "block Nest(c: int, n: int = 1) { repeat n { Plain(c, k=2) }; wide: Named(c) }",
    "block Wrap(inner: block, c: int) { inner(c); gelu }",
    "block Gate { mean(input, axis=[1], keep=true) as g; input * sigmoid(g) }",
)
LET = "let Full(c, k=3) = conv(c, k, padding=same)"
FUNCTIONS = "relu relu6 gelu silu sigmoid tanh identity mish softplus hardswish hardsigmoid prelu sign abs".split()


class Writer:
    """Writes one random network, a step to a line; lines that do not check are taken out afterwards."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rank = self.random.choice([0, 1, 1, 2, 2, 2, 3])
        self.unknown = self.rank > 0 and self.random.random() < 0.45
        self.labels: list[str] = []
        self.layers: list[tuple[str, str]] = []  # labels of single layers, which can be used again, and their calls
        self.masks: list[str] = []  # tensors of the shape of x with whole numbers, or true and false
        self.parts: list[str] = []  # what a dot reaches
        self.rows: list[str] = []  # tensors of whole numbers
        self.lines: list[str] = []
        self.pattern = {1: "c l -> l c", 2: "c h w -> (h w) c", 3: "c d h w -> (d h w) c"}.get(self.rank, "")

    def text(self) -> str:
        """A network of a few to a dozen lines."""
        self._inputs()
        for _ in range(self.random.randint(3, 14)):
            self._line()
        if self.random.random() < 0.4:
            self.lines += self._head()
        if self.random.random() < 0.2:
            self.lines += self._outputs()
        named = dict.fromkeys(name for line in self.lines for name in re.findall(r"\b[A-Z][a-z]+(?=[(\s]|$)", line))
        needed = [each for each in BLOCKS if each.split()[1].partition("(")[0].strip(":") in {*named, "Plain", "Named"}]
        head = [*needed, LET] if named else []
        return "\n".join([*head, "network N {", *(f"    {line}" for line in self.lines), "}"]) + "\n"

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _any(self) -> str:
        return self.random.choice(self.labels)

    def _label(self, step: str) -> str:
        label = f"t{len(self.labels)}"
        self.labels.append(label)
        return f"{label}: {step}"

    # -------------------------------------------------------------------------------------------- inputs and outputs
    def _inputs(self) -> None:
        shape = self._shape()
        self.lines = [f"input x: [{shape}]"]
        if self._chance(0.25):
            same = f"input y: [{shape}]"
            less = f"input y: [{', '.join(['1', *shape.split(', ')[1:]])}]" if self.rank else same
            self.lines.append(self.random.choice([same, same, less, f"input y: bool [{shape}]", f"input y: int [{shape}]"]))
            (self.labels if "y: [" in self.lines[-1] else self.masks).append("y")
            self.lines += ["x" if self._chance(0.7) else "x -> relu"]
        if self.rank and self._chance(0.1):
            self.lines.insert(1, "input n: int [3]")
            self.rows.append("n")
            self.lines += ["x"] * ("x" not in self.lines)
        if self._chance(0.3):
            self.labels.append("x")

    def _shape(self) -> str:
        if self.rank == 0:
            return str(self.random.randint(1, 9))
        sides = []
        for at in range(self.rank):
            known = not self.unknown or self._chance(0.25)
            sides.append(str(self.random.randint(5, 12)) if known else LETTERS[self.rank][at])
        first = "C" if self.unknown and self._chance(0.08) else str(self.random.choice([1, 2, 3, 4, 6]))
        return ", ".join([first, *sides])

    def _outputs(self) -> list[str]:
        """Named outputs, published ones, and one that is only there in training."""
        forms = [f"output named: {self._step()}", "output last: relu"]
        if self.labels:
            forms += [f"output {self._any()}", f"output sum: {self._any()} + 1", f"output aux: {self._any()} -> tanh when training"]
        return self.random.sample(forms, self.random.randint(1, len(forms)))

    # --------------------------------------------------------------------------------------------------------- lines
    def _line(self) -> None:
        pick, r = self.random.random(), self.random
        if self.labels and pick < 0.3:
            self.lines.append(self._join())
        elif pick < 0.42:
            self.lines += self._special()
        elif pick < 0.64:
            step = self._step()
            more = f" -> {self._step()}" if self._chance(0.3) else ""
            if not more and step.startswith(("conv", "linear")):
                self.layers.append((f"t{len(self.labels)}", step))
            self.lines.append(self._label(step + more))
        elif pick < 0.7:
            self.lines.append(f"{{ {self._step()}; {self._step()} }}")
        elif pick < 0.75:
            self.lines.append(f"repeat {r.randint(1, 3)} {{ {self._step()} }}")
        elif pick < 0.79:
            self.lines.append(f"{self._step()} as s{len(self.lines)}")
            self.labels.append(f"s{len(self.lines) - 1}")
        elif pick < 0.83:
            self.lines.append(f"for c in [{r.randint(1, 4)}, {r.randint(1, 4)}] {{ {self._step()}; {'conv(c, 1)' if self.rank else 'linear(c)'} }}")
        else:
            self.lines.append(self._step())

    def _special(self) -> list[str]:
        """Lines that stand for a part of the language more than for an op."""
        r, n = self.random, len(self.lines)
        forms = [self._parallel, self._group, self._weights, self._split, self._indices]
        forms += [self._used_twice] * (2 if self.rank else 0) + [self._again] * len(self.layers[:2]) + [self._parts_used] * len(self.parts[:1])
        if self.masks:
            forms += [self._masked]
        return r.choice(forms)(n)

    def _again(self, n: int) -> list[str]:
        """A layer once more, or another with the same weight."""
        layer = self.random.choice(self.layers)
        name, call = layer
        made = re.sub(r", groups=\d|, table=\[.*\]\]", "", call)
        other = re.sub(r"\)$", f", weight=u{n}.weight)", made)
        forms = [[f"x -> {name}"], [f"u{n}: x -> {made}", f"x -> {other}"], [f"{self._any()} -> {name} -> {self._step()}"], [f"x * mean({name}.weight)"]]
        return self.random.choice(forms)

    def _parts_used(self, n: int) -> list[str]:
        r = self.random
        return r.choice([[f"{r.choice(self.parts)} {r.choice('+*')} {r.choice(self.parts)}"], [f"x -> {r.choice(self.parts)}"], [f"x -> {r.choice(self.parts)[:-2]}"]])

    def _masked(self, n: int) -> list[str]:
        mask = self.random.choice(self.masks)
        forms = [f"x * {mask}", f"1 - {mask}", f"x - {mask} * 2", f"sum({mask}, axis=0, keep=true) * 0.5", f"{mask} / 2 + x"]
        return [self._label(self.random.choice(forms))]

    def _parallel(self, n: int) -> list[str]:
        one, other = self._step(), self._step()
        more = f"; for k in [1, 2] {{ {'conv(2, k, padding=same)' if self.rank else 'linear(k)'} }}" if self._chance(0.4) else ""
        ends = [f"concat(p{n})", f"sum(p{n})", f"stack(p{n}, axis=1) -> mean(axis=1)", f"p{n}[0] + p{n}[1]", f"max(p{n}[0], p{n}[1])"]
        return [f"p{n}: parallel {{ {one}; {other}{more} }}", self._label(self.random.choice(ends))]

    def _group(self, n: int) -> list[str]:
        self.parts += [f"g{n}.a", f"g{n}.b"]
        shared = self.random.choice([self._step(), "relu", "batchnorm"])
        return [f"g{n}: {{ a: {self._step()}; b: {shared}; {self._step()} }}"]

    def _weights(self, n: int) -> list[str]:
        """A declared parameter or buffer that meets the tensor at hand, stretched or whole."""
        r, ones = self.random, ", 1" * self.rank
        first = f"{self._any()}.{'channels' if self.rank else 'features'}" if self.labels and self._chance(0.6) else "1"
        shapes = [f"[{first}{ones}]", "[]", f"[1{ones}]"]
        declared = r.choice([
            f"parameter w{n}: {r.choice(shapes)}, init={r.choice(['normal', 'ones', 'normal(std=0.5)'])}",
            f"buffer w{n}: [1{ones}] = [{r.random():.2f}]",
            f"buffer w{n}: int [] = {r.randint(1, 4)}",
            f"buffer w{n}: bool [1{ones}] = [{r.choice(['true', 'false'])}]",
        ])  # fmt: skip
        at = self._any() if self.labels else "x"
        return [declared, self._label(r.choice([f"{at} * w{n}", f"w{n} + {at}", f"{at} - w{n} * 2", f"max({at}, w{n})", f"(w{n} < {at}) * 1.0"]))]

    def _split(self, n: int) -> list[str]:
        at, r = self._any() if self.labels else "x", self.random
        axis = r.randint(0, self.rank)
        cuts = [f"split({r.randint(2, 3)}, axis={axis})", f"split([1, {at}.shape[{axis}] - 1], axis={axis})", "split(2)"]
        self.labels += [f"a{n}", f"b{n}"]
        return [f"a{n}, b{n}: {at} -> {r.choice(cuts)}"]

    def _indices(self, n: int) -> list[str]:
        """Whole numbers: where the extremes stand, and rows for them."""
        at, r = self._any() if self.labels else "x", self.random
        axis = r.randint(0, self.rank)
        self.rows.append(f"i{n}")
        found = [f"i{n}: {r.choice(['argmax', 'argmin'])}({at}, axis={axis})"]
        rows = r.choice(self.rows)
        uses = [f"min({rows}, 9) -> embedding(10, {r.randint(1, 4)})", f"{rows} * 0.5", f"{rows} ** 2 - {rows} + 1", f"-{rows}", f"abs(2 - {rows}) / 3"]
        uses += [f"{rows} == max({rows})", f"{rows} != 0 or {rows} >= 2", f"sign({rows}) * 1.5", f"sum({rows} > 1, axis=0)"]
        return [*found, self._label(r.choice(uses))] if self._chance(0.8) else found

    def _used_twice(self, n: int) -> list[str]:
        """A block with other arguments each time; its published outputs, a block for a parameter, a further tensor."""
        r = self.random
        c, d, k = r.randint(1, 5), r.randint(1, 5), r.randint(1, 3)
        at = self._any() if self.labels else "x"
        forms = [
            [f"Plain({c})", f"Plain({d}, k={k})"], [f"Named({c})", f"Named({c}, k={k})"], [f"b{n}: Low({c})", f"d{n}: Low({d})", f"b{n}.low * 2"],
            [f"x -> Join({at}, {c})", f"x -> Join(x, {d})"], [f"Rest({c})", f"Rest({c})", f"Rest({d})"], ["Scale", f"Scale({r.random():.2f})"],
            [f"Nest({c})", f"Nest({d}, n=2)"], [f"Wrap(Plain, {c})", f"Wrap(Named, {d})", f"Wrap(Full, {c})", f"Wrap(Plain(k=2), {d})"],
            [f"Full({c})", f"Full({d}, k=1)"], ["Gate", "Gate"], [f"b{n}: Plain({c})", f"x -> b{n}"], [f"b{n}: Low({c})", f"x -> b{n}", f"b{n}.low"],
        ]  # fmt: skip
        return r.choice(forms)

    def _join(self) -> str:
        some = self.random.sample(self.labels, min(len(self.labels), self.random.randint(1, 2)))
        a, b = some[0], some[-1]
        r, choice = self.random, self.random.choice
        sign = choice(["+", "-", "*", "/"])
        other = choice([b, str(r.randint(1, 3)), f"{r.random():.2f}"])
        if sign == "/" and other == b:
            other = f"(2 + sigmoid({b}))"
        axis, last = r.randint(0, self.rank), r.randint(-1 - self.rank, -1)
        forms = [f"{a} {sign} {other}", f"concat({a}, {b})", f"sum([{a}, {b}, {a}])", f"stack({a}, {b}) -> sum(axis=0)", f"max({a}, {b})"]
        forms += [f"crop({a}, like={b})", f"-{a}", f"abs({a})", f"{a}[:1]", f"{a}[{axis}:]", f"exp(tanh({a}))", f"sqrt(abs({a}) + 1)"]
        forms += [f"min({a}, {b})", f"min({a}, 0.3)", f"log(abs({a}) + 1)", f"sigmoid({a}) ** {choice(['2', '0.5', f'sigmoid({b})'])}"]
        forms += [f"2.0 ** tanh({a})", f"({a} > {other}) * {b}", f"({a} < {b} and not ({a} <= 0.5)) * 1.5", f"({a} >= {b}) + 2 * ({b} != 0.1)"]
        forms += [f"({a} == {a} or {b} < 0) * {a}", f"sign({a} - 0.5)", f"concat({a}, {b}, axis={last})", f"{a} - mean({a})", f"{a} / (1 + max(abs({a})))"]
        if self.rank:
            forms += self._reshaped(a, b, axis)
        return self._label(choice(forms)) if self._chance(0.7) else choice(forms)

    def _reshaped(self, a: str, b: str, axis: int) -> list[str]:
        """Tensors in other shapes, most of them back in the one they had."""
        r, rank = self.random, self.rank
        order = r.sample(range(rank + 1), rank + 1)
        sizes = [f"{a}.shape[{at}]" for at in range(rank + 1)]
        merged = [*sizes[:-2], f"{sizes[-2]} * {sizes[-1]}"]
        flat = f'{a} -> rearrange("{self.pattern}")'
        return [
            f"{a} -> transpose({axis}, {order[0]})", f"{a} -> permute({', '.join(map(str, order))})", f"mean({a}, axis={axis}, keep=true) -> squeeze({axis})",
            f"{a} -> reshape([{', '.join(merged)}]) -> reshape([{', '.join(sizes)}])", f"{a} -> reshape([{', '.join(sizes[::-1])}])",
            f"max({a}, axis={axis}, keep=true) -> expand([{', '.join(sizes)}])", f"min({a}, axis={axis}, keep=true) + {b}", f"{a}[:, {axis}]",
            f"matmul({a}, transpose({b}, -1, -2))", f"matmul({a} -> transpose(-1, -2), {a})", f"{flat} -> linear(3)", f"{flat} -> softmax(axis=-1) -> transpose(0, 1)",
            f"{a} * mean({b}, axis={axis}, keep=true)", f"{flat} -> matmul({a} -> flatten(from=1))" if rank > 1 else f"flatten({a})",
        ]  # fmt: skip

    # --------------------------------------------------------------------------------------------------------- steps
    def _step(self) -> str:
        return self.random.choice(self._spatial() if self.rank else self._flat())

    def _flat(self) -> list[str]:
        n = self.random.randint(1, 8)
        return [f"linear({n})", f"linear({n}, bias=false)", f"linear({n}, transposed=true)", "batchnorm", "dropout(0.3)", *self._pointwise()]

    def _spatial(self) -> list[str]:
        r = self.random
        c, k, s = r.randint(1, 6), r.randint(1, 4), r.randint(1, 3)
        sides = "[" + ", ".join(f"[{r.randint(0, 2)}, {r.randint(0, 2)}]" for _ in range(self.rank)) + "]"
        pads = ["0", "1", "same", "valid", "full", f"{k // 2}", sides, *(["causal"] if self.rank == 1 else [])]
        fit = r.choice(["", ", fit=down"])
        kernel = str(k) if self._chance(0.7) else "[" + ", ".join(str(r.randint(1, 3)) for _ in range(self.rank)) + "]"
        conv = f"conv({c}, {kernel}, stride={s}, padding={r.choice(pads)}{fit}"
        pool = f"{r.randint(1, 3)}, stride={r.randint(1, 3)}, padding={r.choice(['0', '0', '1', sides])}{r.choice(['', ', fit=down', ', fit=up'])}"
        table = ", ".join(f"[{', '.join(str(v) for v in sorted(r.sample(range(2), r.randint(1, 2))))}]" for _ in range(c))
        return [
            conv + ")", conv + f", dilation={r.randint(1, 2)})", conv + f", groups={r.choice([1, 2, 3])}, bias=false)",
            f"conv({c}, {k}, table=[{table}])", f"conv({c}, 3, padding=same)", f"conv({c}, 1)",
            f"upconv({c}, {k}, stride={s}, padding={r.choice([0, 0, 1, sides])}, output_padding={r.choice([0, 0, 1])})", f"upconv({c}, 2, stride=2)",
            f"maxpool({pool})", f"maxpool({pool}, dilation=2)", f"avgpool({pool})", f"avgpool({pool}, count_padding=false)", "maxpool(2)", "avgpool(2)",
            f"adaptive_avgpool({r.randint(1, 3)})", f"adaptive_maxpool({r.randint(1, 3)})", "batchnorm", f"lrn({r.choice([1, 2, 3, 5])})",
            "batchnorm(track=false)", "batchnorm(affine=false)", f"pad({sides})", "pad([[1, 2]], axes=0, value=2)", f"prelu(per=channel, start={r.random():.1f})",
            f"pad({r.randint(0, 2)}, mode={r.choice(['zeros', 'reflect', 'replicate'])})", f"pad(multiple={r.choice([2, 4])})",
            "dropout(0.5)", "channel_dropout(0.2)", "prelu(per=all)", "softmax(axis=0)", "flatten(from=1)", "log_softmax(axis=-1)",
            f"mean(axis={r.randint(0, self.rank)}, keep=true)", f"max(axis={r.randint(0, self.rank)}, keep=true)", *self._pointwise(),
        ]  # fmt: skip

    def _pointwise(self) -> list[str]:
        r = self.random
        return [*r.sample(FUNCTIONS, 8), f"leaky_relu({r.random():.1f})", "elu(0.7)", "gelu(approximate=true)", "relu"]

    def _head(self) -> list[str]:
        n = self.random.randint(2, 5)
        if self.rank == 0:
            return [f"linear({n}) -> {self.random.choice(['softmax', 'log_softmax', 'sigmoid'])}"]
        ends = [["global_avgpool", f"linear({n})", "softmax"], ["flatten", f"linear({n})"], ["global_maxpool", "sigmoid"]]
        ends += [[f'rearrange("{self.pattern}")', f"linear({n})", "softmax(axis=-1)"], ["log_softmax(axis=0)"], ["argmax(axis=0)"]]
        return self.random.choice(ends)


def valid(seed: int) -> Compilation | None:
    """A network that checks: lines with errors are taken out until none is left; None if nothing remains."""
    text = Writer(seed).text()
    for _ in range(12):
        found = compile_text(text, f"generated{seed}.net", fixes=False)
        errors = [each for each in found.bag if each.severity == "error"]
        if not errors:
            return found if found.models and found.model().steps and _has_sizes(found.model()) else None
        lines = text.splitlines()
        guilty = {each.span.line for each in errors if each.span is not None}
        guilty -= {at for at, line in enumerate(lines, 1) if line in ("network N {", "}") or "input x:" in line}
        if not guilty:
            return None
        text = "\n".join(line for at, line in enumerate(lines, 1) if at not in guilty) + "\n"
    return None


def _has_sizes(model: Model) -> bool:
    """Whether sizes are known for which it runs; some conditions on several unknowns are beyond what can be solved."""
    predicates = [each.predicate for each in model.requirements]
    return not symbols_of(model) or bool(examples(predicates, list(model.facts), count=1, symbols=symbols_of(model)))


__all__ = ["Coverage", "Writer", "agree", "valid"]
