"""Networks over sequences, recurrent and with attention: equal to references written with torch.nn, by the same keys."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from proved import built, codes, compiled, exported, hold, network, outputs_of, source
from sequence_specs import BERT, GPT2, LLAMA, T5, TRANSFORMER
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from specc.backends import onnx as onnx_backend
from specc.deploy.proof import open_session
from specc.model.graph import Model
from specc.model.report import report

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


def equal(text: str, reference: nn.Module, *x: Tensor, name: str = "output") -> Model:
    """The network with the reference's weights, by the same keys, gives what the reference gives; and so does ONNX."""
    model = compiled(text)
    module = built(model)
    module.load_state_dict(reference.state_dict())
    hold(model, module=module)
    with torch.no_grad():
        wanted = reference.eval()(*x)
    torch.testing.assert_close(outputs_of(model, module, x)[name], wanted, **TOLERANCE)
    return model


def ran(model: Model, module: Any, x: list[Tensor], path: Any) -> dict[str, Tensor]:
    """What onnxruntime gives."""
    session = open_session(exported(model, module, path / "model.onnx"))
    names = [each.name for each in session.get_outputs()]
    given = {port.name: value.numpy() for port, value in zip(model.inputs, x, strict=True)}
    return {name: torch.from_numpy(value) for name, value in zip(names, session.run(None, given), strict=True)}


def tokens(*shape: int, below: int = 20) -> Tensor:
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(1))


# ------------------------------------------------------------------------------------------------------- recurrent
CHARACTERS = """
network CharLSTM(vocabulary: int = 20, width: int = 12) {
    input text: int [T]
    embed: embedding(vocabulary, 8)
    lstm:  lstm(width, layers=2, dropout=0.5)
    head:  linear(vocabulary)
    output next: softmax(axis=-1)
}
"""


class CharLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 12, num_layers=2, batch_first=True)
        self.head = nn.Linear(12, 20)

    def forward(self, text: Tensor) -> Tensor:
        return F.softmax(self.head(self.lstm(self.embed(text))[0]), dim=-1)


def test_a_language_model_of_characters() -> None:
    equal(CHARACTERS, CharLSTM(), tokens(3, 7), name="next")


TAGGER = """
network Tagger {
    input words: int [T]
    input count: int []
    embed: words -> embedding(20, 8, padding=0)
    gru:   gru(6, layers=2, bidirectional=true, lengths=count)
    output tags: linear(5)
    flat: gru.hidden -> flatten
    output last: linear(3)
}
"""


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.gru = nn.GRU(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.tags = nn.Linear(12, 5)
        self.last = nn.Linear(24, 3)

    def forward(self, words: Tensor, count: Tensor) -> dict[str, Tensor]:
        packed = pack_padded_sequence(self.embed(words), count, batch_first=True, enforce_sorted=False)
        y, last = self.gru(packed)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=words.shape[1])
        return {"tags": self.tags(y), "last": self.last(last.transpose(0, 1).flatten(1))}


def test_a_tagger_reads_no_further_than_each_length(tmp_path: Any) -> None:
    model = compiled(TAGGER)
    module, reference = built(model), Tagger().eval()
    module.load_state_dict(reference.state_dict())
    hold(model, module=module)
    x = [tokens(4, 6), torch.tensor([3, 6, 1, 2])]
    with torch.no_grad():
        wanted = reference(*x)
    for made in (outputs_of(model, module, x), ran(model, module, x, tmp_path)):
        for name in ("tags", "last"):
            torch.testing.assert_close(made[name], wanted[name], **TOLERANCE)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_an_empty_sequence_keeps_the_first_state(kind: str, tmp_path: Any) -> None:
    names = ["hidden", "cell"] if kind == "lstm" else ["hidden"]
    states = "".join(f"    input {each}: [4, 3]\n" for each in names)
    ends = "".join(f"    output {each}_end: run.{each} -> identity\n" for each in names)
    given = "".join(f", {each}={each}" for each in names)
    text = (
        f"network N {{\n    input x: [T, 5]\n    input n: int []\n{states}    x as flow\n"
        f"    output run: flow -> {kind}(3, layers=2, bidirectional=true, lengths=n{given})\n{ends}}}\n"
    )
    model = compiled(text)
    module = hold(model)
    x = [torch.randn(3, 4, 5), torch.tensor([0, 9, 2]), *(torch.randn(3, 4, 3) for _ in names)]
    for made in (outputs_of(model, module, x), ran(model, module, x, tmp_path)):
        assert not made["run"][0].any()
        assert made["run"][1].all()
        assert not made["run"][2, 2:].any()
        for at, each in enumerate(names):
            assert torch.equal(made[f"{each}_end"][0], x[2 + at][0])
            assert not torch.equal(made[f"{each}_end"][1], x[2 + at][1])
    alone = [x[0][2:, :2], torch.tensor([2]), *(each[2:] for each in x[2:])]
    short = outputs_of(model, module, alone)
    whole = outputs_of(model, module, x)
    torch.testing.assert_close(short["run"], whole["run"][2:, :2], **TOLERANCE)
    torch.testing.assert_close(short["hidden_end"], whole["hidden_end"][2:], **TOLERANCE)


SIAMESE = """
block Encoder(width: int): [T, F] -> [T, width] {
    run: lstm(width)
    last: run.hidden -> linear(width)
    run + last
}

network Siamese {
    input left: [T, 5]
    input right: [S, 5]
    input start: [1, 3]
    encoder: left -> Encoder(3)
    right -> encoder as other
    again: other -> gru(3, hidden=start)
    more:  right -> linear(3) -> gru(3, hidden=again.hidden)
    mean(more, axis=0) + mean(encoder, axis=0)
}
"""


def test_a_recurrent_block_used_twice_and_states_that_are_handed_on() -> None:
    model = compiled(SIAMESE)
    module = hold(model)
    x = [torch.randn(2, 4, 5), torch.randn(2, 6, 5), torch.randn(2, 1, 3)]
    with torch.no_grad():
        one, other = (y + module.encoder.last(h).transpose(0, 1) for y, (h, _) in map(module.encoder.run, x[:2]))
        _, state = module.again(other, x[2].transpose(0, 1))
        more, _ = module.more[1](module.more[0](x[1]), state)
        wanted = more.mean(1) + one.mean(1)
    torch.testing.assert_close(outputs_of(model, module, x)["output"], wanted, **TOLERANCE)


def test_states_are_those_of_pytorch(tmp_path: Any) -> None:
    text = (
        "network N {\n    input x: [T, 5]\n    output lstm: lstm(3, layers=2, bidirectional=true)\n"
        "    output h: lstm.hidden -> identity\n    output c: lstm.cell -> identity\n}\n"
    )
    model = compiled(text)
    module = hold(model)
    x = torch.randn(2, 6, 5)
    reference = nn.LSTM(5, 3, 2, bidirectional=True, batch_first=True)
    reference.load_state_dict(module.lstm.state_dict())
    with torch.no_grad():
        y, (h, c) = reference(x)
    for made in (outputs_of(model, module, [x]), ran(model, module, [x], tmp_path)):
        torch.testing.assert_close(made["lstm"], y, **TOLERANCE)
        torch.testing.assert_close(made["h"], h.transpose(0, 1), **TOLERANCE)
        torch.testing.assert_close(made["c"], c.transpose(0, 1), **TOLERANCE)


TRANSLATOR = """
network Translator(width: int = 8) {
    input foreign: int [S]
    input count: int []
    input own: int [T]
    input seen: bool [S]
    source: foreign -> embedding(20, width)
    encoder: lstm(width, lengths=count)
    target: own -> embedding(30, width)
    decoder: lstm(width, hidden=encoder.hidden, cell=encoder.cell)
    context: attend(decoder, encoder, encoder, mask=seen)
    mixed: concat(context, decoder, axis=-1) -> linear(width) -> tanh
    head: linear(30)
}
"""


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(20, 8), nn.Embedding(30, 8)
        self.encoder, self.decoder = (nn.LSTM(8, 8, batch_first=True) for _ in range(2))
        self.mixed = nn.ModuleList([nn.Linear(16, 8)])
        self.head = nn.Linear(8, 30)

    def forward(self, foreign: Tensor, count: Tensor, own: Tensor, seen: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.source(foreign), count, batch_first=True, enforce_sorted=False)
        memory, state = self.encoder(packed)
        memory, _ = pad_packed_sequence(memory, batch_first=True, total_length=foreign.shape[1])
        y, _ = self.decoder(self.target(own), state)
        scores = (y @ memory.transpose(1, 2) / math.sqrt(8)).masked_fill(~seen[:, None], -math.inf)
        context = scores.softmax(dim=-1) @ memory
        return self.head(torch.tanh(self.mixed[0](torch.cat([context, y], dim=-1))))


def test_sequence_to_sequence_with_attention() -> None:
    count = torch.tensor([4, 6])
    seen = torch.arange(6) < count[:, None]
    equal(TRANSLATOR, Translator(), tokens(2, 6), count, tokens(2, 5), seen)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("y: lstm(4)", "self.y = nn.LSTM(3, 4, batch_first=True)"),
        ("y: gru(4, layers=2, dropout=0.1)", "nn.GRU(3, 4, num_layers=2, batch_first=True, dropout=0.1)"),
        ("y: rnn(4, activation=relu, bias=false)", 'nn.RNN(3, 4, bias=False, batch_first=True, nonlinearity="relu")'),
        ("y: lstm(4)", "self.y(input)[0]"),
        ("lstm(4)\nlinear(2)", "x = self[0](input)[0]"),
    ],
)  # fmt: skip
def test_recurrent_layers_read_as_written_by_hand(line: str, code: str) -> None:
    assert code in source(line, "[T, 3]")


def test_the_places_of_the_largest_and_of_all_in_order(tmp_path: Any) -> None:
    text = (
        "network N {\n    input x: [3, 9]\n    output top: topk(2)\n    output places: top.indices -> one_hot(9)\n"
        "    output sorted: x -> sort(axis=1, descending=true)\n    sorted.indices as order\n    output order\n}\n"
    )
    model = compiled(text)
    module, x = hold(model), torch.randn(2, 3, 9)
    top, order = x.topk(2), x.sort(descending=True)
    for made in (outputs_of(model, module, [x]), ran(model, module, [x], tmp_path)):
        assert torch.equal(made["top"], top.values)
        assert torch.equal(made["places"].argmax(-1), top.indices)
        assert made["places"].dtype == torch.float32
        assert torch.equal(made["sorted"], order.values)
        assert torch.equal(made["order"], order.indices)


# ------------------------------------------------------------------------------------------------------- attention
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("y: attend(input, input, input)", "F.scaled_dot_product_attention(input, input, input)"),
        ("y: attend(input, input, input, causal=true, scale=1)", "input, input, input, is_causal=True, scale=1"),
        ("y: attention(heads=2)", "self.y = nn.MultiheadAttention(8, 2, batch_first=True)"),
        ("y: attention(heads=2)", "self.y(input, input, input, need_weights=False)[0]"),
        ("y: attention(heads=2, causal=true)", "self.y(input, input, input, causal=True)"),
    ],
)
def test_attention_reads_as_written_by_hand(line: str, code: str) -> None:
    assert code in source(line, "[T, 8]")


def test_a_query_with_nothing_to_look_at_gives_zero(tmp_path: Any) -> None:
    for extra in ("", ", heads=2", ", heads=2, causal=true", ", heads=2, bias=b"):
        text = network(f"output y: attend(x, x, x, mask=y{extra})", "[4, 6]", "bool [4, 4]")
        text = text.replace("input y: bool", "input m: bool").replace("mask=y", "mask=m")
        text = text.replace(
            "    output", "    parameter b: [2, 4, 4], init=normal\n    output" if "bias" in extra else "    output"
        )
        model = compiled(text)
        module = hold(model)
        mask = torch.ones(2, 4, 4, dtype=torch.bool)
        mask[0, 1] = False
        x = [torch.randn(2, 4, 6), mask]
        for made in (outputs_of(model, module, x), ran(model, module, x, tmp_path)):
            assert not made["y"][0, 1].any()
            assert made["y"].isfinite().all()
            assert made["y"][1].all()


def test_a_mask_hides_what_it_hides(tmp_path: Any) -> None:
    """Brute force: what a query gets does not change with what it may not see."""
    text = "network N {\n    input x: [T, 6]\n    input m: bool [T]\n    output y: x -> attention(heads=3, mask=m)\n}\n"
    model = compiled(text)
    module = hold(model)
    x, mask = torch.randn(2, 5, 6), torch.tensor([[1, 1, 0, 1, 0], [1, 0, 1, 1, 1]]).bool()
    other = torch.where(mask[:, :, None], x, torch.randn(2, 5, 6))
    one, two = (outputs_of(model, module, [each, mask])["y"] for each in (x, other))
    torch.testing.assert_close(one[mask], two[mask], **TOLERANCE)
    assert not torch.allclose(one[~mask], two[~mask], atol=1e-3)
    torch.testing.assert_close(ran(model, module, [other, mask], tmp_path)["y"], two, **TOLERANCE)


def test_masked_attention_is_that_of_pytorch() -> None:
    text = (
        "network N {\n    input x: [T, 8]\n    input m: [S, 6]\n    input seen: bool [S]\n"
        "    attention: x -> attention(heads=2, keys=m, mask=seen)\n}\n"
    )
    model = compiled(text)
    module = hold(model)
    reference = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    reference.load_state_dict(module.attention.state_dict())
    x, m, seen = torch.randn(2, 4, 8), torch.randn(2, 5, 6), torch.tensor([[1, 1, 1, 0, 1], [0, 1, 0, 0, 0]]).bool()
    with torch.no_grad():
        wanted, _ = reference(x, m, m, key_padding_mask=~seen)
    torch.testing.assert_close(outputs_of(model, module, [x, m, seen])["output"], wanted, **TOLERANCE)


def test_fewer_keys_serve_more_heads() -> None:
    model = compiled(network("attend(x, y, z, heads=6, kv_heads=2, causal=true)", "[T, 24]", "[T, 8]", "[T, 6]"))
    x, y, z = torch.randn(2, 5, 24), torch.randn(2, 5, 8), torch.randn(2, 5, 6)
    q = x.unflatten(-1, (6, 4)).transpose(1, 2)
    k = y.unflatten(-1, (2, 4)).transpose(1, 2).repeat_interleave(3, dim=1)
    v = z.unflatten(-1, (2, 3)).transpose(1, 2).repeat_interleave(3, dim=1)
    scores = (q @ k.transpose(2, 3) / 2).masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
    wanted = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(outputs_of(model, hold(model), [x, y, z])["output"], wanted, **TOLERANCE)


def test_attention_drops_only_in_training() -> None:
    model = compiled(network("attend(input, input, input, heads=2, dropout=0.9)", "[T, 8]"))
    module, x = built(model), torch.randn(2, 9, 8)
    assert torch.equal(module(x), module(x))
    module.train()
    assert not torch.equal(module(x), module(x))


@pytest.mark.parametrize("line", ["lstm(8, weight=a.weight)", "attention(heads=2, weight=a.weight)"])
def test_a_layer_with_several_weights_shares_none_in_silence(line: str) -> None:
    assert codes(network(f"a: linear(8)\nb: {line}", "[T, 8]")) == ["bad-argument"]


def test_a_word_stands_for_the_default_of_a_tensor() -> None:
    said = [
        source(f"y: {line}", "[T, 8]") for line in ("attention(heads=2)", "attention(heads=2, keys=self, mask=none)")
    ]
    assert said[0] == said[1]


# ---------------------------------------------------------------------------------------------------- transformers
def held(text: str, wanted: Any, *x: Tensor, **sizes: Any) -> Any:
    """A small one of these networks is in PyTorch and in ONNX what a function of its state-dict says."""
    given = ", ".join(f"{name}={value}" for name, value in sizes.items())
    name = text.rpartition("network ")[2].partition("(")[0]
    model = compiled(f"{text}\nnetwork Small = {name}({given})\n")
    module = hold(model)
    made = outputs_of(model, module, x)["output"]
    torch.testing.assert_close(made, wanted(module.state_dict(), *x), **TOLERANCE)
    return module


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, seen: Tensor | None = None, scale: float | None = None,
             bias: Tensor | float = 0.0) -> Tensor:  # fmt: skip
    """Attention written out."""
    q, k, v = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (q, k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    scores = scores if seen is None else scores.masked_fill(~seen, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def past(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()


def below(state: dict[str, Tensor], path: str) -> dict[str, Tensor]:
    return {key.removeprefix(path + "."): value for key, value in state.items() if key.startswith(path + ".")}


def normed(x: Tensor, state: dict[str, Tensor], path: str, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{path}.weight"], state[f"{path}.bias"], eps)


def gpt2(state: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """As in Radford et al. (2019): weights stored [in, out], norms in front."""
    inside = below(state, "transformer")
    length = tokens.shape[1]
    x = inside["wte.weight"][tokens] + inside["wpe.weight"][:length]
    for at in range(2):
        layer = below(inside, f"h.{at}")
        y = normed(x, layer, "ln_1") @ layer["attn.c_attn.weight"] + layer["attn.c_attn.bias"]
        y = attended(*y.chunk(3, dim=-1), 2, past(length))
        x = x + y @ layer["attn.c_proj.weight"] + layer["attn.c_proj.bias"]
        y = F.gelu(normed(x, layer, "ln_2") @ layer["mlp.c_fc.weight"] + layer["mlp.c_fc.bias"], approximate="tanh")
        x = x + y @ layer["mlp.c_proj.weight"] + layer["mlp.c_proj.bias"]
    return normed(x, inside, "ln_f") @ inside["wte.weight"].T


def test_gpt2() -> None:
    module = held(GPT2, gpt2, tokens(2, 7), vocabulary=20, width=8, depth=2, heads=2)
    assert module.lm_head.weight is module.transformer.wte.weight
    whole = report(compiled(GPT2))
    graph = onnx_backend.lower(compiled(GPT2), weights=None)
    assert (
        len([each for each in graph.nodes if each.kind == "Range"]) == 2
    )  # places, and who is past whom: once for all layers
    assert whole["parameters"] == 124_439_808  # Radford et al. (2019), as released
    assert str(whole["macs"]) == "18432*T**2 + 123532032*T"


def bert(state: dict[str, Tensor], tokens: Tensor, types: Tensor, mask: Tensor) -> Tensor:
    """As in Devlin et al., arXiv:1810.04805: norms behind."""
    inside = below(state, "embeddings")
    x = inside["word_embeddings.weight"][tokens] + inside["token_type_embeddings.weight"][types]
    x = normed(x + inside["position_embeddings.weight"][: tokens.shape[1]], inside, "LayerNorm", 1e-12)

    def dense(x: Tensor, state: dict[str, Tensor], path: str) -> Tensor:
        return F.linear(x, state[f"{path}.weight"], state[f"{path}.bias"])

    for at in range(2):
        layer = below(state, f"encoder.layer.{at}")
        parts = (dense(x, layer, f"attention.self.{each}") for each in ("query", "key", "value"))
        y = dense(attended(*parts, 2, mask[:, None, None]), layer, "attention.output.dense")
        x = normed(x + y, layer, "attention.output.LayerNorm", 1e-12)
        y = dense(F.gelu(dense(x, layer, "intermediate.dense")), layer, "output.dense")
        x = normed(x + y, layer, "output.LayerNorm", 1e-12)
    return torch.tanh(dense(x[:, 0], state, "pooler.dense"))


def test_bert() -> None:
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 0, 1, 1, 1]]).bool()
    x = tokens(2, 6), tokens(2, 6, below=2), mask
    held(BERT, bert, *x, vocabulary=20, width=8, depth=2, heads=2)
    assert report(compiled(BERT))["parameters"] == 109_482_240  # bert-base-uncased, pooler included


def llama(state: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """As in Touvron et al., arXiv:2302.13971, with grouped queries; the rotation as a product of complex numbers."""
    inside, length, heads, kv_heads = below(state, "model"), tokens.shape[1], 4, 2
    x = inside["embed_tokens.weight"][tokens]
    pair = x.shape[-1] // heads // 2
    angles = torch.arange(length)[:, None] * 500000.0 ** (-torch.arange(pair) / pair)
    turn = torch.polar(torch.ones_like(angles), angles)

    def rotated(x: Tensor, heads: int) -> Tensor:
        halves = x.unflatten(-1, (heads, 2, -1))
        z = torch.complex(halves[..., 0, :], halves[..., 1, :]) * turn[:, None]
        return torch.stack([z.real, z.imag], dim=-2).flatten(2)

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight

    for at in range(2):
        layer = below(inside, f"layers.{at}")
        y = norm(x, layer["input_layernorm.weight"])
        q, k, v = (y @ layer[f"self_attn.{each}_proj.weight"].T for each in "qkv")
        k, v = (
            each.unflatten(-1, (kv_heads, -1)).repeat_interleave(heads // kv_heads, dim=2).flatten(2)
            for each in (rotated(k, kv_heads), v)
        )
        x = x + attended(rotated(q, heads), k, v, heads, past(length)) @ layer["self_attn.o_proj.weight"].T
        y = norm(x, layer["post_attention_layernorm.weight"])
        y = F.silu(y @ layer["mlp.gate_proj.weight"].T) * (y @ layer["mlp.up_proj.weight"].T)
        x = x + y @ layer["mlp.down_proj.weight"].T
    return norm(x, inside["norm.weight"]) @ state["lm_head.weight"].T


def test_llama() -> None:
    held(LLAMA, llama, tokens(2, 7), vocabulary=20, width=16, depth=2, heads=4, kv_heads=2, hidden=24)
    assert report(compiled(LLAMA))["parameters"] == 8_030_261_248  # Llama 3 8B


def t5(state: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Relative positions as in Raffel et al., arXiv:1910.10683, section 2.1, with plain buckets: no scale, one bias."""
    x, places = state["shared.weight"][tokens], torch.arange(tokens.shape[1])
    distance = (places - places[:, None]).clamp(-3, 3) + 3
    bias = state["relative.weight"][distance].permute(2, 0, 1)

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight

    for at in range(2):
        layer = below(state, f"block.{at}")
        y = norm(x, layer["norm1.weight"])
        q, k, v = (y @ layer[f"attention.{each}.weight"].T for each in "qkv")
        x = x + attended(q, k, v, 2, scale=1, bias=bias) @ layer["attention.o.weight"].T
        x = x + F.relu(norm(x, layer["norm2.weight"]) @ layer["wi.weight"].T) @ layer["wo.weight"].T
    return norm(x, state["norm.weight"])


def test_relative_positions() -> None:
    held(T5, t5, tokens(2, 7), vocabulary=20, width=8, depth=2, heads=2, reach=3)


def test_encoder_and_decoder_are_those_of_pytorch() -> None:
    model = compiled(TRANSFORMER)
    module = hold(model)
    words: dict[str, Any] = {"dim_feedforward": 16, "dropout": 0.0, "batch_first": True}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, **words), 2, nn.LayerNorm(8))
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, **words), 2, nn.LayerNorm(8))
    for part, own in ((encoder, module.encoder), (decoder, module.decoder)):
        for value in part.parameters():
            nn.init.normal_(value, std=0.5)
        own.load_state_dict(part.state_dict())
    x, y, mask = torch.randn(3, 6, 8), torch.randn(3, 5, 8), torch.ones(3, 6, dtype=torch.bool)
    mask[0, 2:], mask[1, 0] = False, False
    with torch.no_grad():
        memory = encoder.train()(x, src_key_padding_mask=~mask)  # in eval mode PyTorch zeros what is masked itself
        wanted = decoder.eval()(y, memory, tgt_mask=~past(5), memory_key_padding_mask=~mask)
    torch.testing.assert_close(outputs_of(model, module, [x, y, mask])["output"], wanted, **TOLERANCE)
