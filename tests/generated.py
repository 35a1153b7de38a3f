"""Random networks as text: several ranks, inputs, outputs, blocks, shared modules, declared weights and unknown sizes."""

from __future__ import annotations

import random
import re

from generated_cases import PARTIAL, loose, piece, targets
from generated_steps import BLOCKS, LET, LETTERS, Forms

from specc.compiler import Compilation

PIECES = 2  # cases drawn into three of four networks


class Writer:
    """Writes one random network, a step to a line; lines that do not check are taken out afterwards."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.rank = self.random.choice([0, 1, 1, 2, 2, 2, 3])
        self.unknown = self.rank > 0 and self.random.random() < 0.45
        self.forms = Forms(self.random, self.rank)
        self.labels: list[str] = []
        self.layers: list[tuple[str, str]] = []  # labels of single layers, which can be used again, and their calls
        self.masks: list[str] = []  # tensors of the shape of x with whole numbers, or true and false
        self.parts: list[str] = []  # what a dot reaches
        self.rows: list[str] = []  # tensors of whole numbers
        self.made: list[str] = []  # what drawn cases give
        self.alone: list[Compilation] = []  # the drawn cases in networks of their own
        self.lines: list[str] = []

    def text(self) -> str:
        """A network of a few to a dozen lines."""
        self._inputs()
        alone = self.seed % 4 == 0
        for _ in range(self.random.randint(3, 14 if alone else 8)):
            self._line()
        for at in range(0 if alone else PIECES):
            self._piece(at)
            for _ in range(self.random.randint(0, 3)):
                self._line()
        if self.random.random() < 0.4:
            self.lines += self.forms.head()
        if self.random.random() < 0.2:
            self.lines += self._outputs()
        if self.made and "output last: relu" not in self.lines:
            self.lines.append("output flow: identity")
        self.lines += [f"output {each}" for each in self.made]
        named = dict.fromkeys(name for line in self.lines for name in re.findall(r"\b[A-Z][a-z]+(?=[(\s]|$)", line))
        needed = [each for each in BLOCKS if each.split()[1].partition("(")[0].strip(":") in {*named, "Plain", "Named"}]
        head = [*needed, LET] if named else []
        return "\n".join([*head, "network N {", *(f"    {line}" for line in self.lines), "}"]) + "\n"

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
        if self.forms.chance(0.25):
            same = f"input y: [{shape}]"
            less = f"input y: [{', '.join(['1', *shape.split(', ')[1:]])}]" if self.rank else same
            self.lines.append(
                self.random.choice([same, same, less, f"input y: bool [{shape}]", f"input y: int [{shape}]"])
            )
            (self.labels if "y: [" in self.lines[-1] else self.masks).append("y")
            self.lines += ["x" if self.forms.chance(0.7) else "x -> relu"]
        if self.rank and self.forms.chance(0.1):
            self.lines.insert(1, "input n: int [3]")
            self.rows.append("n")
            self.lines += ["x"] * ("x" not in self.lines)
        if self.forms.chance(0.3):
            self.labels.append("x")

    def _shape(self) -> str:
        if self.rank == 0:
            return str(self.random.randint(1, 9))
        sides = []
        for at in range(self.rank):
            known = not self.unknown or self.forms.chance(0.25)
            sides.append(str(self.random.randint(5, 12)) if known else LETTERS[self.rank][at])
        first = "C" if self.unknown and self.forms.chance(0.08) else str(self.random.choice([1, 2, 3, 4, 6]))
        return ", ".join([first, *sides])

    def _outputs(self) -> list[str]:
        """Named outputs, published ones, and one that is only there in training."""
        forms = [f"output named: {self.forms.step()}", "output last: relu"]
        if self.labels:
            forms += [
                f"output {self._any()}",
                f"output sum: {self._any()} + 1",
                f"output aux: {self._any()} -> tanh when training",
            ]
        return self.random.sample(forms, self.random.randint(1, len(forms)))

    # --------------------------------------------------------------------------------------------------------- lines
    def _line(self) -> None:
        pick, r = self.random.random(), self.random
        if self.labels and pick < 0.3:
            self.lines.append(self._join())
        elif pick < 0.42:
            self.lines += self._special()
        elif pick < 0.64:
            step = self.forms.step()
            more = f" -> {self.forms.step()}" if self.forms.chance(0.3) else ""
            if not more and step.startswith(("conv", "linear")):
                self.layers.append((f"t{len(self.labels)}", step))
            self.lines.append(self._label(step + more))
            if self.layers and self.forms.chance(0.2):
                self.lines += self._again(len(self.lines))
        elif pick < 0.67:
            self.lines.append(self._label(loose(self.rank + 1, r)))
        elif pick < 0.7:
            self.lines.append(f"{{ {self.forms.step()}; {self.forms.step()} }}")
        elif pick < 0.75:
            self.lines.append(f"repeat {r.randint(1, 3)} {{ {self.forms.step()} }}")
        elif pick < 0.79:
            self.lines.append(f"{self.forms.step()} as s{len(self.lines)}")
            self.labels.append(f"s{len(self.lines) - 1}")
        elif pick < 0.83:
            self.lines.append(
                f"for c in [{r.randint(1, 4)}, {r.randint(1, 4)}] {{ {self.forms.step()}; {'conv(c, 1)' if self.rank else 'linear(c)'} }}"
            )
        else:
            self.lines.append(self.forms.step())

    def _piece(self, at: int) -> None:
        """The next target of the library, on tensors made of x or on inputs of its own; the flow is x again behind it."""
        every = targets()
        source = "x -> global_avgpool" if self.rank else "x"
        target = every[((self.seed - self.seed // 4) * PIECES + at) % len(every)]
        before = self.lines[0]
        found = piece(target, at, self.random, source, before)
        if found is not None:
            ends = self._any() if self.labels else "x"
            first = 1 + max(n for n, line in enumerate(self.lines) if line.startswith("input "))
            start = ["x"] * (bool(found.inputs) and first == 1 and "x" not in self.lines)
            self.lines[first:first] = found.inputs + start
            self.lines += [*found.lines, ends]
            self.made += found.gives
            self.alone.append(found.alone(before))
            self.labels += found.gives[:1] if target.op not in PARTIAL else []

    def _special(self) -> list[str]:
        """Lines that stand for a part of the language more than for an op."""
        r, n = self.random, len(self.lines)
        forms = [self._parallel, self._group, self._weights, self._split, self._indices]
        forms += (
            [self._blocks] * (2 if self.rank else 0)
            + [self._again] * len(self.layers[:2])
            + [self._parts_used] * len(self.parts[:1])
        )
        if self.masks:
            forms += [self._masked]
        return r.choice(forms)(n)

    def _again(self, n: int) -> list[str]:
        """A layer once more, or another with the same weight."""
        layer = self.random.choice(self.layers)
        name, call = layer
        made = re.sub(r", groups=\d|, table=\[.*\]\]", "", call)
        other = re.sub(r"\)$", f", weight=u{n}.weight)", made)
        forms = [
            [f"x -> {name}"],
            [f"u{n}: x -> {made}", f"x -> {other}"],
            [f"{self._any()} -> {name} -> {self.forms.step()}"],
            [f"x * mean({name}.weight)"],
        ]
        return self.random.choice(forms)

    def _parts_used(self, n: int) -> list[str]:
        r = self.random
        return r.choice(
            [
                [f"{r.choice(self.parts)} {r.choice('+*')} {r.choice(self.parts)}"],
                [f"x -> {r.choice(self.parts)}"],
                [f"x -> {r.choice(self.parts)[:-2]}"],
            ]
        )

    def _masked(self, n: int) -> list[str]:
        mask = self.random.choice(self.masks)
        forms = [
            f"x * {mask}",
            f"1 - {mask}",
            f"x - {mask} * 2",
            f"sum({mask}, axis=0, keep=true) * 0.5",
            f"{mask} / 2 + x",
        ]
        return [self._label(self.random.choice(forms))]

    def _parallel(self, n: int) -> list[str]:
        one, other = self.forms.step(), self.forms.step()
        more = (
            f"; for k in [1, 2] {{ {'conv(2, k, padding=same)' if self.rank else 'linear(k)'} }}"
            if self.forms.chance(0.4)
            else ""
        )
        ends = [
            f"concat(p{n})",
            f"sum(p{n})",
            f"stack(p{n}, axis=1) -> mean(axis=1)",
            f"p{n}[0] + p{n}[1]",
            f"max(p{n}[0], p{n}[1])",
        ]
        return [f"p{n}: parallel {{ {one}; {other}{more} }}", self._label(self.random.choice(ends))]

    def _group(self, n: int) -> list[str]:
        self.parts += [f"g{n}.a", f"g{n}.b"]
        shared = self.random.choice([self.forms.step(), "relu", "batchnorm"])
        return [f"g{n}: {{ a: {self.forms.step()}; b: {shared}; {self.forms.step()} }}"]

    def _weights(self, n: int) -> list[str]:
        """A declared parameter or buffer that meets the tensor at hand, stretched or whole."""
        r, ones = self.random, ", 1" * self.rank
        first = (
            f"{self._any()}.{'channels' if self.rank else 'features'}"
            if self.labels and self.forms.chance(0.6)
            else "1"
        )
        shapes = [f"[{first}{ones}]", "[]", f"[1{ones}]"]
        declared = r.choice(
            [
                f"parameter w{n}: {r.choice(shapes)}, init={r.choice(['normal', 'ones', 'normal(std=0.5)'])}",
                f"buffer w{n}: [1{ones}] = [{r.random():.2f}]",
                f"buffer w{n}: int [] = {r.randint(1, 4)}",
                f"buffer w{n}: bool [1{ones}] = [{r.choice(['true', 'false'])}]",
            ]
        )
        at = self._any() if self.labels else "x"
        return [
            declared,
            self._label(
                r.choice(
                    [f"{at} * w{n}", f"w{n} + {at}", f"{at} - w{n} * 2", f"max({at}, w{n})", f"(w{n} < {at}) * 1.0"]
                )
            ),
        ]

    def _split(self, n: int) -> list[str]:
        at, r = self._any() if self.labels else "x", self.random
        axis = r.randint(0, self.rank)
        cuts = [
            f"split({r.randint(2, 3)}, axis={axis})",
            f"split([1, {at}.shape[{axis}] - 1], axis={axis})",
            "split(2)",
        ]
        self.labels += [f"a{n}", f"b{n}"]
        return [f"a{n}, b{n}: {at} -> {r.choice(cuts)}"]

    def _indices(self, n: int) -> list[str]:
        """Whole numbers: where the extremes stand, and rows for them."""
        at, r = self._any() if self.labels else "x", self.random
        axis = r.randint(0, self.rank)
        self.rows.append(f"i{n}")
        found = [f"i{n}: {r.choice(['argmax', 'argmin'])}({at}, axis={axis})"]
        rows = r.choice(self.rows)
        uses = [
            f"min({rows}, 9) -> embedding(10, {r.randint(1, 4)})",
            f"{rows} * 0.5",
            f"{rows} ** 2 - {rows} + 1",
            f"-{rows}",
            f"abs(2 - {rows}) / 3",
        ]
        uses += [
            f"{rows} == max({rows})",
            f"{rows} != 0 or {rows} >= 2",
            f"sign({rows}) * 1.5",
            f"sum({rows} > 1, axis=0)",
        ]
        return [*found, self._label(r.choice(uses))] if self.forms.chance(0.8) else found

    def _blocks(self, n: int) -> list[str]:
        return self.forms.used_twice(n, self._any() if self.labels else "x")

    def _join(self) -> str:
        some = self.random.sample(self.labels, min(len(self.labels), self.random.randint(1, 2)))
        a, b = some[0], some[-1]
        r, choice = self.random, self.random.choice
        sign = choice(["+", "-", "*", "/"])
        other = choice([b, str(r.randint(1, 3)), f"{r.random():.2f}"])
        if sign == "/" and other == b:
            other = f"(2 + sigmoid({b}))"
        axis, last = r.randint(0, self.rank), r.randint(-1 - self.rank, -1)
        forms = [
            f"{a} {sign} {other}",
            f"concat({a}, {b})",
            f"sum([{a}, {b}, {a}])",
            f"stack({a}, {b}) -> sum(axis=0)",
            f"max({a}, {b})",
        ]
        forms += [
            f"crop({a}, like={b})",
            f"-{a}",
            f"abs({a})",
            f"{a}[:1]",
            f"{a}[{axis}:]",
            f"exp(tanh({a}))",
            f"sqrt(abs({a}) + 1)",
        ]
        forms += [
            f"min({a}, {b})",
            f"min({a}, 0.3)",
            f"log(abs({a}) + 1)",
            f"sigmoid({a}) ** {choice(['2', '0.5', f'sigmoid({b})'])}",
        ]
        forms += [
            f"2.0 ** tanh({a})",
            f"({a} > {other}) * {b}",
            f"({a} < {b} and not ({a} <= 0.5)) * 1.5",
            f"({a} >= {b}) + 2 * ({b} != 0.1)",
        ]
        forms += [
            f"({a} == {a} or {b} < 0) * {a}",
            f"sign({a} - 0.5)",
            f"concat({a}, {b}, axis={last})",
            f"{a} - mean({a})",
            f"{a} / (1 + max(abs({a})))",
        ]
        if self.rank:
            forms += self.forms.reshaped(a, b, axis)
        return self._label(choice(forms)) if self.forms.chance(0.7) else choice(forms)
