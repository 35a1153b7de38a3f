"""What language models ask of the language: optional tensors, lists with zeros, names in groups; and four of them against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from proved import built, codes, compiled, exported, hold
from torch import nn
from torch.nn import functional as F

from specc.backends.pytorch import write
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.model.graph import Model

SPECS = Path(__file__).parent.parent / "specs"

LOOK = """
block Look(heads: int, keys: tensor = input, mask: tensor = none) {
    q: linear(8)
    k: keys -> linear(8)
    attend(q, k, k, heads=heads, mask=mask)
}
block Outer(mask: tensor = none) { Look(2, mask=mask) }
"""


def test_a_block_may_do_without_a_tensor_that_has_a_default() -> None:
    hold(compiled(LOOK + "network N { input x: [T, 8]; Look(2) }"), {"T": 5})
    hold(compiled(LOOK + "network N { input x: [T, 8]; input m: bool [T]; x; Look(2, mask=m) }"), {"T": 5})
    hold(compiled(LOOK + "network N { input x: [T, 8]; input y: [S, 8]; x; Look(2, keys=y) }"), {"T": 5, "S": 3})


@pytest.mark.parametrize(("given", "inputs"), [("", 3), ("(mask=none)", 3), ("(mask=m)", 4)])
def test_an_optional_tensor_is_passed_on(given: str, inputs: int) -> None:
    model = compiled(LOOK + f"network N {{ input x: [T, 8]; input m: bool [T]; Look(x, 2, mask=m); Outer{given} }}")
    assert [len(step.inputs) for step in model.steps if step.op.name == "attend"] == [4, inputs]
    hold(model, {"T": 5})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (LOOK + "network N { input x: [T, 8]; Look(2, keys=none); Look(2, mask=3) }", "bad-argument"),
        ("block B(y: tensor) { y }\nnetwork N { input x: [T, 8]; B(y=none) }", "bad-argument"),
        ("block B(y: tensor) { y }\nnetwork N { input x: [T, 8]; B }", "missing-input"),
    ],
)
def test_what_an_optional_tensor_is_not(text: str, code: str) -> None:
    assert code in codes(text)


def test_a_default_may_be_a_word() -> None:
    text = """
        block Unit(padding=same) { conv(4, 3, padding=padding) }
        let Full(channels, padding=same) = conv(channels, 3, padding=padding)
        network N(padding=same) { input x: [3, 8, 8]; Unit; Full(4); conv(4, 3, padding=padding); Unit(padding=valid) expect [4, 6, 6] }
    """
    hold(compiled(text))


def test_zeros_may_stand_in_a_list() -> None:
    for steps in ("concat([x, zeros(3)])", "[x, zeros(3)] -> sum", "[x, zeros(3)]; stack", "stack([relu(x), ones(3)])"):
        hold(compiled(f"network N {{ input x: [3]; {steps} }}"))


def test_a_dot_reaches_what_as_names_in_a_group() -> None:
    text = """
        block Two(n: int) { first: linear(n); output early: relu; linear(n) }
        network N { input x: [4]; body: { Two(3) as low; linear(5) }; concat(body, body.low.early) }
    """
    model = compiled(text)
    assert [weight.key for weight in model.weights if weight.key.endswith("bias")] == [
        "body.0.first.bias", "body.0.linear1.bias", "body.1.bias",
    ]  # fmt: skip
    hold(model)


def test_a_size_in_a_pattern_is_a_word_of_the_class() -> None:
    text = """
        block Heads(heads: int): [T, C] { rearrange("t (h d) -> h t d", h=heads); cumsum(axis=1); rearrange("h t d -> t (h d)") }
        network N(many: int = 4, few: int = 2) { input x: [T, 8]; a: x -> Heads(many); b: x -> Heads(few); a + b }
    """
    model = compiled(text)
    source = write(model)
    assert source.count("class Heads") == 1, source
    assert "self.in_features // self.heads" in source
    hold(model, {"T": 5})


def test_one_place_of_an_axis_is_one_node(tmp_path: Any) -> None:
    model = compiled("network N { input x: [4, T]; x[1] + x[-1] }")
    graph = onnx.load(exported(model, built(model), tmp_path / "m.onnx")).graph
    assert sorted(node.op_type for node in graph.node) == ["Add", "Gather", "Gather"]
    hold(model, {"T": 5})


# ------------------------------------------------------------------------------------------------ language models
def small(spec: str, call: str) -> Model:
    """A bundled spec's network with small numbers."""
    project = open_spec(SPECS / f"{spec}.net")
    found = compile_text(f"{project.text}\nnetwork Small = {call}\n", project.name, read=project.read)
    assert not list(found.bag)
    return found.model()


@pytest.mark.parametrize(
    ("spec", "call", "sizes"),
    [
        ("gpt2", "GPT2(12, 2, 3, 30, 16)", {"T": 9}),
        ("bert", "BERT(12, 2, 3, 30, 16)", None),
        ("llama", "Llama(30, 16, 20, 2, 4, 2)", {"T": 9}),
        ("llama", "Llama(30, 16, 20, 2, 4, 2, 3)", {"T": 9}),
        ("t5", "T5(16, 20, 2, 4, 6, 30)", {"S": 150, "T": 40}),
    ],
)
def test_the_small_ones_agree_in_onnxruntime(spec: str, call: str, sizes: dict[str, int] | None) -> None:
    hold(small(spec, call), *([sizes] if sizes else []))


def taking(weights: dict[str, torch.Tensor], **places: str) -> dict[str, torch.Tensor]:
    """The weights and biases of these places, by the names that they have in the reference."""
    return {
        f"{name.replace('__', '.')}.{end}": weights[f"{place}.{end}"]
        for name, place in places.items()
        for end in ("weight", "bias")
    }


def test_bert_is_pytorchs_encoder() -> None:
    model = small("bert", "BERT(12, 2, 3, 30, 16)")
    module = built(model)
    tokens, segments = torch.randint(0, 30, (2, 7)), torch.randint(0, 2, (2, 7))
    known = torch.arange(7) < torch.tensor([[7], [4]])
    weights = module.state_dict()
    e = module.embeddings
    x = e.word_embeddings(tokens) + e.token_type_embeddings(segments) + e.position_embeddings(torch.arange(7))
    x = F.layer_norm(x, (12,), e.LayerNorm.weight, e.LayerNorm.bias, 1e-12)
    for at in range(2):
        base = f"encoder.layer.{at}"
        layer = nn.TransformerEncoderLayer(12, 3, 48, activation="gelu", batch_first=True, layer_norm_eps=1e-12).eval()
        found = taking(
            weights, self_attn__out_proj=f"{base}.attention.output.dense", norm1=f"{base}.attention.output.LayerNorm",
            linear1=f"{base}.intermediate.dense", linear2=f"{base}.output.dense", norm2=f"{base}.output.LayerNorm",
        )  # fmt: skip
        parts = [f"{base}.attention.self.{each}" for each in ("query", "key", "value")]
        for end in ("weight", "bias"):
            found[f"self_attn.in_proj_{end}"] = torch.cat([weights[f"{each}.{end}"] for each in parts])
        layer.load_state_dict(found)
        x = layer(x, src_key_padding_mask=~known)
    got = module(tokens, segments, known)
    torch.testing.assert_close(got["states"], x, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got["summary"], torch.tanh(module.pooler.dense(x[:, 0])), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [0, 3])
def test_llama_is_the_papers(window: int) -> None:
    """Complex numbers turn the pairs here, and every head has its key by repetition."""
    module = built(small("llama", f"Llama(30, 16, 20, 2, 4, 2, {window})"))
    weights = module.state_dict()
    tokens = torch.randint(0, 30, (2, 9))
    angles = torch.outer(torch.arange(9.0), 10000.0 ** (-torch.arange(0, 4, 2) / 4))
    behind = torch.arange(9)[:, None] - torch.arange(9)
    seen = (behind >= 0) & (behind < (window or 9))

    def heads(x: torch.Tensor, turn: bool = True) -> torch.Tensor:
        x = x.unflatten(-1, (-1, 4)).transpose(1, 2)
        if turn:
            turned = torch.complex(x[..., :2], x[..., 2:]) * torch.polar(torch.ones_like(angles), angles)
            x = torch.cat([turned.real, turned.imag], dim=-1)
        return x.repeat_interleave(4 // x.shape[1], dim=1)

    def norm(x: torch.Tensor, key: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[f"model.{key}.weight"]

    x = weights["model.embed_tokens.weight"][tokens]
    for at in range(2):
        w = {k.removeprefix(f"model.layers.{at}.").removesuffix(".weight"): v for k, v in weights.items()}
        y = norm(x, f"layers.{at}.input_layernorm")
        q, k = (heads(y @ w[f"self_attn.{each}_proj"].T) for each in "qk")
        scores = (q @ k.transpose(-1, -2) / 2).masked_fill(~seen, -torch.inf).softmax(-1)
        y = scores @ heads(y @ w["self_attn.v_proj"].T, turn=False)
        x = x + y.transpose(1, 2).flatten(2) @ w["self_attn.o_proj"].T
        y = norm(x, f"layers.{at}.post_attention_layernorm")
        x = x + (F.silu(y @ w["mlp.gate_proj"].T) * (y @ w["mlp.up_proj"].T)) @ w["mlp.down_proj"].T
    wanted = norm(x, "norm") @ weights["lm_head.weight"].T
    torch.testing.assert_close(module(tokens), wanted, rtol=1e-4, atol=1e-5)
