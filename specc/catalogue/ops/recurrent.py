"""Recurrent layers: along a sequence, each place sees what went before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from specc.catalogue.arguments import Flag, KeywordOnly, Positive, Rate, TensorArgument, choice
from specc.catalogue.axes import equal, shape
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Rule, TensorType, WeightedOp, WeightSpec
from specc.catalogue.ops.scores import is_sequence, scalar_onnx
from specc.code.nodes import call, index
from specc.sizes.dim import Size, symbol

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

INT32 = 6
BATCH = symbol("batch")  # where ONNX wants the batch behind the length


class Recurrent(WeightedOp):
    """What the recurrent layers share: directions, layers one above the other, lengths, and first and last states."""

    takes = "l f"
    layout = "last"
    kind: ClassVar[str] = ""  # PyTorch's and ONNX's name
    gates: ClassVar[tuple[int, ...]] = ()  # ONNX's gates, each as PyTorch's place

    features: Positive
    """How many features the state has; two directions put theirs one behind the other."""
    _: KeywordOnly
    layers: Positive = 1
    """How many lie one above the other, each on the output of the one below."""
    bidirectional: Flag = False
    """Whether a second one runs from the end to the beginning."""
    dropout: Rate = 0
    """In training, the probability with which each output of a layer is 0 for the layer above."""
    bias: Flag = True
    """Whether learned numbers are added, two for each gate."""
    lengths: TensorArgument = None
    """A whole number per sample: what lies behind that many places is not read, and is 0 in the output. A length of 0
    gives zeros and keeps the first state; one beyond the sequence means all of it."""
    hidden: TensorArgument = None
    """The state before the first place, `[layers * directions, features]`; zeros by default."""

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def rules(self, x: TensorType, **named: TensorType) -> Iterable[Rule]:  # type: ignore[override]
        is_sequence(self.name, x)
        if self.dropout and self.layers == 1:
            message = "`dropout` acts between layers, and there is only one"
            raise Misfit("bad-argument", message, f"write `dropout({self.dropout})` behind it", argument="dropout")
        lengths = named.get("lengths")
        if lengths is not None and (lengths.rank or lengths.dtype != "int"):
            message = f"`lengths` must be a whole number per sample, int []; this is {_said(lengths)}"
            raise Misfit("shape-mismatch" if lengths.rank else "wrong-dtype", message)
        for name, state in named.items():
            if name != "lengths":
                yield from self._is_state(name, state)

    def _is_state(self, name: str, state: TensorType) -> Iterator[Rule]:
        wanted = (self.layers * self.directions, self.features)
        message = f"`{name}` must be {shape(wanted)}, a row per layer and direction; this is {_said(state)}"
        if state.rank != 2 or state.dtype != "float":
            raise Misfit("shape-mismatch" if state.rank != 2 else "wrong-dtype", message)
        for one, other in zip(state.shape, wanted, strict=True):
            yield from equal(one, other, Misfit("shape-mismatch", message))

    def gives(self, x: TensorType, **named: TensorType) -> tuple[TensorType, ...]:  # type: ignore[override]
        state = x.to(self.layers * self.directions, self.features)
        return (x.to(x.shape[0], self.directions * self.features), *(state for _ in self.further))

    def weights(self, x: TensorType, **named: TensorType) -> Mapping[str, WeightSpec]:  # type: ignore[override]
        rows, found = len(self.gates) * self.features, {}
        for layer in range(self.layers):
            taken: Size = self.directions * self.features if layer else x.last
            for ending in self._endings(layer):
                for part, columns in (("ih", taken), ("hh", self.features)):
                    found[f"weight_{part}_{ending}"] = WeightSpec((rows, columns), fan_in=self.features)
                for part in ("ih", "hh") if self.bias else ():
                    found[f"bias_{part}_{ending}"] = WeightSpec((rows,), fan_in=self.features, decays=False)
        return found

    def _endings(self, layer: int) -> tuple[str, ...]:
        return (f"l{layer}", f"l{layer}_reverse")[: self.directions]

    def macs(self, x: TensorType, y: TensorType, **named: TensorType) -> Size:  # type: ignore[override]
        first = x.last + self.features
        above = (self.directions + 1) * self.features
        per_place = first + (self.layers - 1) * above
        return x.shape[0] * self.directions * len(self.gates) * self.features * per_place

    def reach(self, *x: TensorType) -> str:
        return EVERYTHING

    # ------------------------------------------------------------------------------------------------- PyTorch
    def module(self, x: TensorType, **named: TensorType) -> Expression:  # type: ignore[override]
        words: dict[str, Any] = {} if self.layers == 1 else {"num_layers": self.layers}
        words |= {} if self.bias else {"bias": False}
        words |= {"batch_first": True}
        words |= {"dropout": self.dropout} if self.dropout else {}
        words |= {"bidirectional": True} if self.bidirectional else {}
        return call(f"nn.{self.kind}", x.last, self.features, **words, **self.own_words())

    def own_words(self) -> Mapping[str, Any]:
        """Further words of PyTorch's module."""
        return {}

    def torch(self, t: TorchContext, x: TorchValue, **named: TorchValue) -> Expression:  # type: ignore[override]
        if not named and len(t.types) == 1:
            return index(t.run(x), 0)
        found = t.function("run_recurrent", t.module, x, **named)
        return found if len(t.types) > 1 else index(found, 0)

    # ---------------------------------------------------------------------------------------------------- ONNX
    def onnx(self, g: OnnxGraph, x: OnnxValue, **named: OnnxValue) -> tuple[OnnxValue, ...]:  # type: ignore[override]
        length = x.type.shape[0]
        count = self._counts(g, length, named["lengths"]) if "lengths" in named else ""
        kind = TensorType((length, BATCH, x.type.last), batched=False)
        flow = g.node("Transpose", x, perm=[1, 0, 2], type=kind)
        starts = [self._starts(g, named[name]) if name in named else [""] * self.layers for name in self.further]
        ends: list[tuple[OnnxValue, ...]] = []
        for layer in range(self.layers):
            flow, *states = self._layer(g, layer, flow, count, [each[layer] for each in starts])
            ends.append(tuple(states))
        whole = g.node("Transpose", flow, perm=[1, 0, 2], type=g.types[0])
        wanted = zip(*ends, strict=True) if len(g.types) > 1 else ()
        return (whole, *(self._state(g, name, each, named) for name, each in zip(self.further, wanted, strict=False)))

    def _counts(self, g: OnnxGraph, length: Size, lengths: OnnxValue) -> OnnxValue:
        """The lengths, none below 0 or beyond the sequence, as ONNX wants them."""
        kind = lengths.type
        most = scalar_onnx(g, length)
        within = g.node("Clip", lengths, g.constant(0, "int"), most, type=kind)
        return g.node("Cast", within, to=INT32, type=replace(kind, dtype="int32"))  # type: ignore[no-any-return,arg-type]

    def _starts(self, g: OnnxGraph, state: OnnxValue) -> list[Any]:
        """The first states of each layer."""
        kind = self._state_type(self.layers)
        found = g.node("Transpose", state, perm=[1, 0, 2], type=kind)
        if self.layers == 1:
            return [found]
        return list(g.node("Split", found, axis=0, num_outputs=self.layers, type=(self._state_type(1),) * self.layers))

    def _state_type(self, layers: int) -> TensorType:
        return TensorType((layers * self.directions, BATCH, self.features), batched=False)

    def _layer(self, g: OnnxGraph, layer: int, x: OnnxValue, count: Any, starts: list[Any]) -> tuple[OnnxValue, ...]:
        """One layer: what it gives at each place, [length, batch, directions * features], and its last states."""
        length, directions = x.type.shape[0], self.directions
        raw = TensorType((length, directions, BATCH, self.features), batched=False)
        inputs: list[Any] = [x, self._stacked(g, layer, "weight_ih", x.type.last), self._stacked(g, layer, "weight_hh")]
        inputs += [self._biases(g, layer) if self.bias else "", count, *starts]
        while inputs[-1] == "":
            inputs.pop()
        words: dict[str, Any] = {"hidden_size": int(self.features), **self.attributes()}
        words |= {"direction": "bidirectional"} if self.bidirectional else {}
        made = g.node(self.kind, *inputs, type=(raw, *(self._state_type(1) for _ in self.further)), **words)
        flat = TensorType((length, BATCH, directions * self.features), batched=False)
        if directions == 1:
            return g.node("Squeeze", made[0], g.constant([1], "int"), type=flat), *made[1:]
        turned = TensorType((length, BATCH, directions, self.features), batched=False)
        turned_y = g.node("Transpose", made[0], perm=[0, 2, 1, 3], type=turned)
        sizes = g.constant([0, 0, int(directions * self.features)], "int")
        return g.node("Reshape", turned_y, sizes, type=flat), *made[1:]

    def attributes(self) -> Mapping[str, Any]:
        """Further attributes of ONNX's operator."""
        return {}

    def _stacked(self, g: OnnxGraph, layer: int, name: str, columns: Size | None = None) -> OnnxValue:
        """The weights of both directions, their gates in ONNX's order."""
        keys = [f"{name}_{ending}" for ending in self._endings(layer)]
        sizes = (self.directions, len(self.gates) * self.features, self.features if columns is None else columns)
        return g.new_weight(f"{name}_l{layer}_onnx", WeightSpec(sizes), lambda w: self._both([w[k] for k in keys]))

    def _biases(self, g: OnnxGraph, layer: int) -> OnnxValue:
        """Both biases of both directions."""
        endings = self._endings(layer)

        def compute(weights: Mapping[str, Any]) -> Any:
            pairs = [self._both([weights[f"bias_{part}_{each}"] for each in endings]) for part in ("ih", "hh")]
            found = pairs[0].repeat(2, 1)
            found[:, : pairs[0].shape[1]], found[:, pairs[0].shape[1] :] = pairs
            return found

        sizes = (self.directions, 2 * len(self.gates) * self.features)
        return g.new_weight(f"bias_l{layer}_onnx", WeightSpec(sizes), compute)

    def _both(self, parts: list[Any]) -> Any:
        """Arrays of each direction, one above the other, the blocks of their rows in ONNX's order."""
        found = parts[0][None].repeat(len(parts), 0)
        width = parts[0].shape[0] // len(self.gates)
        for at, part in enumerate(parts):
            for to, place in enumerate(self.gates):
                found[at, to * width : (to + 1) * width] = part[place * width : (place + 1) * width]
        return found

    def _state(self, g: OnnxGraph, name: str, layers: tuple[OnnxValue, ...], named: Mapping[str, Any]) -> OnnxValue:
        """The last states of all layers, the batch in front; of an empty sequence the first ones."""
        kind = self._state_type(self.layers)
        whole = layers[0] if len(layers) == 1 else g.node("Concat", *layers, axis=0, type=kind)
        found: OnnxValue = g.node("Transpose", whole, perm=[1, 0, 2], type=g.types[1])
        if name not in named or "lengths" not in named:
            return found
        flags = replace(named["lengths"].type, dtype="bool")
        some = g.node("Greater", named["lengths"], g.constant(0, "int"), type=flags)
        some = g.node("Unsqueeze", some, g.constant([1, 2], "int"), type=flags.to(1, 1))
        return g.node("Where", some, found, named[name], type=g.types[1])  # type: ignore[no-any-return]


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; the gates as in PyTorch): the state at each place.

    `.hidden` and `.cell` are the last states, `[layers * directions, features]`, the directions of a layer side by side.
    Multiply-adds are those of the products with both weights at every place, whatever the lengths.
    """

    name = "lstm"
    kind = "LSTM"
    gates = (0, 3, 1, 2)  # ONNX's are input, output, forget, cell; PyTorch's input, forget, cell, output
    further = ("hidden", "cell")
    cases = (
        Case("lstm(5)", "[T, 3] -> [T, 5]", params=200, macs="160*T"),
        Case("lstm(4, layers=2)", "[7, 3] -> [7, 4]", params=304, macs=1680),
        Case("lstm(4, bidirectional=true)", "[T, 3] -> [T, 8]", params=288, macs="224*T"),
        Case("lstm(2, layers=3, bidirectional=true, dropout=0.5)", "[T, 3] -> [T, 4]", params=368),
        Case("lstm(5, bias=false)", "[4, F] -> [4, 5]", params="20*F + 100"),
        Case("lstm(x, 4, lengths=y)", "[T, 3]; int [] -> [T, 4]", params=144),
        Case("lstm(x, 4, bidirectional=true, layers=2, lengths=y, hidden=z)", "[T, 3]; int []; [4, 4] -> [T, 8]", 736),
        Case("lstm(x, 4, hidden=y, cell=z)", "[T, 3]; [1, 4]; [1, 4] -> [T, 4]", params=144),
        Case("lstm(x, 4, cell=y)", "[T, 3]; [1, 4] -> [T, 4]", params=144),
        Wrong("lstm(4)", "[4]", "wrong-rank"),
        Wrong("lstm(0)", "[4, 4]", "bad-argument", at="features"),
        Wrong("lstm(4, dropout=0.5)", "[4, 4]", "bad-argument", at="dropout"),
        Wrong("lstm(x, 4, hidden=y)", "[4, 4]; [2, 4]", "shape-mismatch"),
        Wrong("lstm(x, 4, lengths=y)", "[4, 4]; int [4]", "shape-mismatch"),
        Wrong("lstm(x, 4, lengths=y)", "[4, 4]; []", "wrong-dtype"),
    )

    _: KeywordOnly
    cell: TensorArgument = None
    """The memory before the first place, `[layers * directions, features]`; zeros by default."""


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., arXiv:1406.1078; the reset gate behind the product, as in PyTorch).

    `.hidden` is the last state, `[layers * directions, features]`, the directions of a layer side by side.
    Multiply-adds are those of the products with both weights at every place, whatever the lengths.
    """

    name = "gru"
    kind = "GRU"
    gates = (1, 0, 2)  # ONNX's are update, reset, new; PyTorch's reset, update, new
    further = ("hidden",)
    cases = (
        Case("gru(5)", "[T, 3] -> [T, 5]", params=150, macs="120*T"),
        Case("gru(4, layers=2, bidirectional=true)", "[7, 3] -> [7, 8]", params=552),
        Case("gru(5, bias=false)", "[4, F] -> [4, 5]", params="15*F + 75"),
        Case("gru(x, 4, lengths=y)", "[T, 3]; int [] -> [T, 4]", params=108),
        Case("gru(x, 4, layers=2, dropout=0.1, hidden=y)", "[T, 3]; [2, 4] -> [T, 4]", params=228),
        Case("gru(x, 4, bidirectional=true, lengths=y, hidden=z)", "[T, 3]; int []; [2, 4] -> [T, 8]", params=216),
        Wrong("gru(4)", "[2, 4, 4]", "wrong-rank"),
        Wrong("gru(x, 4, hidden=y)", "[4, 4]; [1, 5]", "shape-mismatch"),
        Wrong("conv(4, 1) -> gru(4)", "[3, 8]", "linear-after-window"),
        Wrong("gru(4, cell=input)", "[1, 4]", "unknown-argument"),
    )

    def attributes(self) -> Mapping[str, Any]:
        return {"linear_before_reset": 1}


class RNN(Recurrent):
    """The plain recurrent layer (Elman, 1990): `activation(W x + b + U h + c)` of each place and the state before it.

    `.hidden` is the last state, `[layers * directions, features]`, the directions of a layer side by side.
    Multiply-adds are those of the products with both weights at every place, whatever the lengths.
    """

    name = "rnn"
    kind = "RNN"
    gates = (0,)
    further = ("hidden",)
    cases = (
        Case("rnn(5)", "[T, 3] -> [T, 5]", params=50, macs="40*T"),
        Case("rnn(4, activation=relu, layers=2, bidirectional=true)", "[7, 3] -> [7, 8]", params=184),
        Case("rnn(5, bias=false)", "[4, F] -> [4, 5]", params="5*F + 25"),
        Case("rnn(x, 4, lengths=y)", "[T, 3]; int [] -> [T, 4]", params=36),
        Case("rnn(x, 4, bidirectional=true, lengths=y, hidden=z)", "[T, 3]; int []; [2, 4] -> [T, 8]", params=72),
        Wrong("rnn(4)", "[4]", "wrong-rank"),
        Wrong("rnn(4, activation=gelu)", "[4, 4]", "bad-argument", at="activation"),
        Wrong("rnn(x, 4, hidden=y)", "[4, 4]; [4]", "shape-mismatch"),
    )

    _: KeywordOnly
    activation: Annotated[str, choice("tanh", "relu")] = "tanh"
    """What bounds the state."""

    def own_words(self) -> Mapping[str, Any]:
        return {} if self.activation == "tanh" else {"nonlinearity": self.activation}

    def attributes(self) -> Mapping[str, Any]:
        return {"activations": [self.activation.capitalize()] * self.directions}


def _said(kind: TensorType) -> str:
    return ("" if kind.dtype == "float" else f"{kind.dtype} ") + shape(kind.shape)
