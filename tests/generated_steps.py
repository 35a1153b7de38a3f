"""The steps that random networks are written from: every op with random arguments, and blocks used more than once."""

from __future__ import annotations

from random import Random

LETTERS = {1: "LMN", 2: "HWU", 3: "DHW"}
PATTERNS = {1: "c l -> l c", 2: "c h w -> (h w) c", 3: "c d h w -> (d h w) c"}
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
FUNCTIONS = [
    "relu",
    "relu6",
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
    "identity",
    "mish",
    "softplus",
    "hardswish",
    "hardsigmoid",
    "prelu",
    "sign",
    "abs",
]


class Forms:
    """Random steps for tensors with so many axes after the channels (0: features alone)."""

    def __init__(self, random: Random, rank: int) -> None:
        self.random = random
        self.rank = rank
        self.pattern = PATTERNS.get(rank, "")

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def step(self) -> str:
        return self.random.choice(self.spatial() if self.rank else self.flat())

    def flat(self) -> list[str]:
        n = self.random.randint(1, 8)
        return [
            f"linear({n})",
            f"linear({n}, bias=false)",
            f"linear({n}, transposed=true)",
            "batchnorm",
            "dropout(0.3)",
            *self.pointwise(),
        ]

    def spatial(self) -> list[str]:
        r = self.random
        c, k, s = r.randint(1, 6), r.randint(1, 4), r.randint(1, 3)
        sides = "[" + ", ".join(f"[{r.randint(0, 2)}, {r.randint(0, 2)}]" for _ in range(self.rank)) + "]"
        pads = ["0", "1", "same", "valid", "full", f"{k // 2}", sides, *(["causal"] if self.rank == 1 else [])]
        fit = r.choice(["", ", fit=down"])
        kernel = str(k) if self.chance(0.7) else "[" + ", ".join(str(r.randint(1, 3)) for _ in range(self.rank)) + "]"
        conv = f"conv({c}, {kernel}, stride={s}, padding={r.choice(pads)}{fit}"
        pool = f"{r.randint(1, 3)}, stride={r.randint(1, 3)}, padding={r.choice(['0', '0', '1', sides])}"
        pool += r.choice(["", ", fit=down", ", fit=up"])
        table = ", ".join(
            f"[{', '.join(str(v) for v in sorted(r.sample(range(2), r.randint(1, 2))))}]" for _ in range(c)
        )
        return [
            conv + ")",
            conv + f", dilation={r.randint(1, 2)})",
            conv + f", groups={r.choice([1, 2, 3])}, bias=false)",
            f"conv({c}, {k}, table=[{table}])",
            f"conv({c}, 3, padding=same)",
            f"conv({c}, 1)",
            f"upconv({c}, {k}, stride={s}, padding={r.choice([0, 0, 1, sides])}, output_padding={r.choice([0, 0, 1])})",
            f"upconv({c}, 2, stride=2)",
            f"maxpool({pool})",
            f"maxpool({pool}, dilation=2)",
            f"avgpool({pool})",
            f"avgpool({pool}, count_padding=false)",
            "maxpool(2)",
            "avgpool(2)",
            f"adaptive_avgpool({r.randint(1, 3)})",
            f"adaptive_maxpool({r.randint(1, 3)})",
            "batchnorm",
            f"lrn({r.choice([1, 2, 3, 5])})",
            "batchnorm(track=false)",
            "batchnorm(affine=false)",
            f"pad({sides})",
            "pad([[1, 2]], axes=0, value=2)",
            f"prelu(per=channel, start={r.random():.1f})",
            f"pad({r.randint(0, 2)}, mode={r.choice(['zeros', 'reflect', 'replicate'])})",
            f"pad(multiple={r.choice([2, 4])})",
            "dropout(0.5)",
            "channel_dropout(0.2)",
            "prelu(per=all)",
            "softmax(axis=0)",
            "flatten(from=1)",
            "log_softmax(axis=-1)",
            f"mean(axis={r.randint(0, self.rank)}, keep=true)",
            f"max(axis={r.randint(0, self.rank)}, keep=true)",
            *self.pointwise(),
        ]

    def pointwise(self) -> list[str]:
        r = self.random
        return [*r.sample(FUNCTIONS, 8), f"leaky_relu({r.random():.1f})", "elu(0.7)", "gelu(approximate=true)", "relu"]

    def head(self) -> list[str]:
        n = self.random.randint(2, 5)
        if self.rank == 0:
            return [f"linear({n}) -> {self.random.choice(['softmax', 'log_softmax', 'sigmoid'])}"]
        ends = [
            ["global_avgpool", f"linear({n})", "softmax"],
            ["flatten", f"linear({n})"],
            ["global_maxpool", "sigmoid"],
        ]
        ends += [
            [f'rearrange("{self.pattern}")', f"linear({n})", "softmax(axis=-1)"],
            ["log_softmax(axis=0)"],
            ["argmax(axis=0)"],
        ]
        return self.random.choice(ends)

    def reshaped(self, a: str, b: str, axis: int) -> list[str]:
        """Tensors in other shapes, most of them back in the one they had."""
        r, rank = self.random, self.rank
        order = r.sample(range(rank + 1), rank + 1)
        sizes = [f"{a}.shape[{at}]" for at in range(rank + 1)]
        merged = [*sizes[:-2], f"{sizes[-2]} * {sizes[-1]}"]
        flat = f'{a} -> rearrange("{self.pattern}")'
        return [
            f"{a} -> transpose({axis}, {order[0]})",
            f"{a} -> permute({', '.join(map(str, order))})",
            f"mean({a}, axis={axis}, keep=true) -> squeeze({axis})",
            f"{a} -> reshape([{', '.join(merged)}]) -> reshape([{', '.join(sizes)}])",
            f"{a} -> reshape([{', '.join(sizes[::-1])}])",
            f"max({a}, axis={axis}, keep=true) -> expand([{', '.join(sizes)}])",
            f"min({a}, axis={axis}, keep=true) + {b}",
            f"{a}[:, {axis}]",
            f"matmul({a}, transpose({b}, -1, -2))",
            f"matmul({a} -> transpose(-1, -2), {a})",
            f"{flat} -> linear(3)",
            f"{flat} -> softmax(axis=-1) -> transpose(0, 1)",
            f"{a} * mean({b}, axis={axis}, keep=true)",
            f"{flat} -> matmul({a} -> flatten(from=1))" if rank > 1 else f"flatten({a})",
        ]

    def used_twice(self, n: int, at: str) -> list[str]:
        """A block with other arguments each time; its published outputs, a block for a parameter, a further tensor."""
        r = self.random
        c, d, k = r.randint(1, 5), r.randint(1, 5), r.randint(1, 3)
        forms = [
            [f"Plain({c})", f"Plain({d}, k={k})"],
            [f"Named({c})", f"Named({c}, k={k})"],
            [f"b{n}: Low({c})", f"d{n}: Low({d})", f"b{n}.low * 2"],
            [f"x -> Join({at}, {c})", f"x -> Join(x, {d})"],
            [f"Rest({c})", f"Rest({c})", f"Rest({d})"],
            ["Scale", f"Scale({r.random():.2f})"],
            [f"Nest({c})", f"Nest({d}, n=2)"],
            [f"Wrap(Plain, {c})", f"Wrap(Named, {d})", f"Wrap(Full, {c})", f"Wrap(Plain(k=2), {d})"],
            [f"Full({c})", f"Full({d}, k=1)"],
            ["Gate", "Gate"],
            [f"b{n}: Plain({c})", f"x -> b{n}"],
            [f"b{n}: Low({c})", f"x -> b{n}", f"b{n}.low"],
        ]
        return r.choice(forms)
