"""The tree of a .net file: frozen nodes that remember where they stand."""

from __future__ import annotations

from typing import Literal

from specc.text.record import Record
from specc.text.source import Span


class Node(Record):
    """Anything in the tree."""

    span: Span


class Number(Node):
    """`64`, `138_357_544`, `0.5`, `1e-5`: an int where it is written as one."""

    value: int | float


class Text(Node):
    """A string without braces in it, unescaped: `"data/stroke"`."""

    value: str


class Truth(Node):
    """`true` or `false`."""

    value: bool


class Name(Node):
    """A bare name; what it means is decided where it stands.

    The name is empty where the parser found nothing that it could read: that is reported, so it is unknown in silence.
    """

    name: str


class Attribute(Node):
    """`value.name`: an attribute of a tensor, a label in a group, an output of a block, a weight."""

    value: Expr
    name: str
    name_span: Span


class Slice(Node):
    """`start:stop:step` inside an index; each may be missing."""

    start: Expr | None
    stop: Expr | None
    step: Expr | None


class Index(Node):
    """`value[0]`, `value[:H, 1:]`."""

    value: Expr
    items: tuple[Expr | Slice, ...]


class Argument(Node):
    """One argument of a call or a setting; `name` is empty for one by position. `star` marks `*S`."""

    name: str
    value: Expr
    name_span: Span | None = None


class Call(Node):
    """`function(arguments)`; the function is a name, an attribute or an index (`units[i](64)`)."""

    function: Expr
    arguments: tuple[Argument, ...]


class List(Node):
    """`[1, 2, 3]`; an item may be `*S` in shapes."""

    items: tuple[Expr, ...]


class Star(Node):
    """`*value` inside a list: its items stand here, as those of an inner loop of a comprehension do."""

    value: Expr


class Comprehension(Node):
    """`[item for names in source if condition]`."""

    item: Expr
    names: tuple[str, ...]
    source: Expr
    condition: Expr | None


Operator = Literal["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or"]


class Binary(Node):
    """`left operator right`. A chain of comparisons (`a < b < c`) is an error of its own in the parser."""

    operator: Operator
    left: Expr
    right: Expr


class Unary(Node):
    """`-value` or `not value`."""

    operator: Literal["-", "not"]
    value: Expr


class Choice(Node):
    """`chosen if condition else other`."""

    chosen: Expr
    condition: Expr
    other: Expr


class Chain(Node):
    """`a -> b -> c`, two or more elements, as an expression (in `sum`, a `let`, a setting such as `warmup(5) -> cosine`)."""

    elements: tuple[Expr | Group | Parallel, ...]


class Group(Node):
    """`{ … }` standing as a layer."""

    body: Body


class Parallel(Node):
    """`parallel { … }`: every line gets the same input."""

    body: Body


Expr = (
    Number | Text | Truth | Name | Attribute | Index | Call | List
    | Star | Comprehension | Binary | Unary | Choice | Chain | Group | Parallel
)  # fmt: skip


class Label(Node):
    """A label. `parts` are literal pieces and expressions of a string label; a plain label is one str part."""

    parts: tuple[str | Expr, ...]
    quoted: bool = False


class Claim(Node):
    """One claim of an `expect`: `[64, 112, 112]` (name "shape"), `params=9_408`, `valid when …` (name "valid")."""

    name: str
    value: Expr


class Expect(Node):
    """`expect claims… [at H=520, W=520]`."""

    claims: tuple[Claim, ...]
    at: tuple[Argument, ...] = ()


class Line(Node):
    """A step: `labels: value as name   expect …`. `value` is a Chain if there is an arrow.

    `output` says how the line begins: "" (an ordinary step) or "output" for `output name: …`; then `labels`
    holds the output's name. `training` is `when training`.
    """

    labels: tuple[Label, ...]
    value: Expr
    alias: str = ""
    alias_span: Span | None = None
    output: bool = False
    training: bool = False
    expects: tuple[Expect, ...] = ()


class Publish(Node):
    """`output low [when training]` without a colon: publishes a tensor that has its name already."""

    name: Expr
    training: bool = False
    expects: tuple[Expect, ...] = ()


class Input(Node):
    """`input image: [1, H, W]`, `input tokens: int [T]`, with an optional `where` behind it."""

    name: str
    name_span: Span
    dtype: Literal["float", "int", "bool"]
    shape: List
    where: Expr | None = None


class Weight(Node):
    """`parameter name: [shape], stored=…, init=…` or `buffer name: int [shape] = value`."""

    kind: Literal["parameter", "buffer"]
    name: str
    name_span: Span
    dtype: Literal["float", "int", "bool"]
    shape: List
    arguments: tuple[Argument, ...] = ()
    value: Expr | None = None


class Where(Node):
    """`where H % 16 == 0 and H >= 32`."""

    condition: Expr


class Let(Node):
    """`let name = value` (`parameters` is None) or `let name(parameters) = value`."""

    name: str
    name_span: Span
    parameters: tuple[Parameter, ...] | None
    value: Expr


class If(Node):
    """`if condition { … } else { … }`; an `else if` is an If alone in `other`. No level of its own."""

    condition: Expr
    body: Body
    other: Body | None


class Repeat(Node):
    """`repeat n { … }`."""

    count: Expr
    body: Body


class For(Node):
    """`for names in source { … }`."""

    names: tuple[str, ...]
    source: Expr
    body: Body


Statement = Line | Publish | Input | Weight | Where | Let | If | Repeat | For


class Body(Node):
    """What stands between braces, in order."""

    statements: tuple[Statement, ...]


class Parameter(Node):
    """A parameter of a block, a network or a `let` function; `type` is empty if it was left out."""

    name: str
    type: Literal["", "int", "float", "bool", "string", "list", "shape", "block", "tensor"] = ""
    default: Expr | None = None


class Signature(Node):
    """`[C, H, W] -> [channels, H, W]`; without the right side it only binds names."""

    takes: List
    gives: List | None


class Block(Node):
    """`block Name(parameters): signature { … }`."""

    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    signature: Signature | None
    body: Body


class Network(Node):
    """`network Name(parameters) { … } expect …`."""

    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    body: Body
    expects: tuple[Expect, ...] = ()


class Alias(Node):
    """`network ResNet18 = ResNet(Basic, [2, 2, 2, 2]) expect …`."""

    name: str
    name_span: Span
    value: Expr
    expects: tuple[Expect, ...] = ()


class ImportedName(Node):
    """One name of an import, perhaps under another (`Basic as Plain`)."""

    name: str
    alias: str = ""


class Import(Node):
    """`import A, B from "blocks/residual.net"` (`quoted`) or `import A from residual` (the bundled library)."""

    names: tuple[ImportedName, ...]
    origin: str
    quoted: bool
    origin_span: Span


class Setting(Node):
    """One setting of a section: a (dotted) name, then arguments by position or by name."""

    name: str
    name_span: Span
    arguments: tuple[Argument, ...]


class Section(Node):
    """`train { … }`, `train tune { … }`, `train for ResNet34 { … }`, `export { … }`."""

    kind: Literal["train", "export"]
    phase: str
    network: str
    settings: tuple[Setting, ...]


Declaration = Import | Let | Block | Network | Alias | Section


class File(Node):
    """A whole file. Where the parser repaired something, its mistakes are in the bag and `Name("")` stands for a gap."""

    declarations: tuple[Declaration, ...]
