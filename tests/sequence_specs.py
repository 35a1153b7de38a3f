"""Networks over sequences as their papers and reference implementations have them, keys included."""

from __future__ import annotations

GPT2 = """
block Attention(heads: int): [T, F] -> [T, F] {
    c_attn: linear(3 * F, transposed=true)
    queries, keys, values: split(3, axis=-1)
    attend(queries, keys, values, heads=heads, causal=true)
    c_proj: linear(F, transposed=true)
}

block Layer(heads: int): [T, F] -> [T, F] {
    ln_1: layernorm
    attn: Attention(heads)
    attn + input as middle
    ln_2: layernorm
    mlp:  {
        c_fc: linear(4 * F, transposed=true)
        gelu(approximate=true)
        c_proj: linear(F, transposed=true)
    }
    mlp + middle
}

network GPT2(vocabulary: int = 50257, places: int = 1024, width: int = 768, depth: int = 12, heads: int = 12) {
    input tokens: int [T] where T <= 1024
    transformer: {
        wte: embedding(vocabulary, width)
        wpe: arange(T) -> embedding(places, width)
        wte + wpe
        h: { repeat depth { Layer(heads) } }
        ln_f: layernorm
    }
    lm_head: linear(vocabulary, bias=false, weight=transformer.wte.weight)
}
"""

BERT = """
block Attention(mask: tensor, heads: int): [T, F] -> [T, F] {
    self: {
        query: input -> linear(F)
        key:   input -> linear(F)
        value: input -> linear(F)
        attend(query, key, value, heads=heads, mask=mask)
    }
    output: Added(input, F)
}

block Added(skip: tensor, width: int) {
    dense: linear(width)
    LayerNorm: dense + skip -> layernorm(eps=1e-12)
}

block Layer(mask: tensor, heads: int): [T, F] -> [T, F] {
    attention: Attention(mask, heads)
    intermediate: { dense: linear(4 * F); gelu }
    output: Added(attention, F)
}

network BERT(vocabulary: int = 30522, places: int = 512, width: int = 768, depth: int = 12, heads: int = 12) {
    input tokens: int [T] where T <= 512
    input types: int [T]
    input mask: bool [T]
    embeddings: {
        word_embeddings: tokens -> embedding(vocabulary, width, padding=0)
        position_embeddings: arange(T) -> embedding(places, width)
        token_type_embeddings: types -> embedding(2, width)
        LayerNorm: word_embeddings + token_type_embeddings + position_embeddings -> layernorm(eps=1e-12)
    }
    encoder: { layer: { repeat depth { Layer(mask, heads) } } }
    encoder[0] as first
    pooler: { dense: first -> linear(width); tanh }
}
"""

LLAMA = """
block Rotated(angles: tensor, heads: int): [T, F] -> [T, F] {
    let half = F // heads // 2
    rearrange("t (h x d) -> h t x d", h=heads, x=2) as pairs
    concat(-pairs[:, :, 1:], pairs[:, :, :1], axis=2) as turned
    angles -> reshape([1, angles.channels, 1, half]) as a
    pairs * cos(a) + turned * sin(a)
    rearrange("h t x d -> t (h x d)")
}

block Attention(angles: tensor, heads: int, kv_heads: int): [T, F] -> [T, F] {
    q_proj: input -> linear(F, bias=false)
    k_proj: input -> linear(F // heads * kv_heads, bias=false)
    v_proj: input -> linear(F // heads * kv_heads, bias=false)
    q_proj -> Rotated(angles, heads) as q
    k_proj -> Rotated(angles, kv_heads) as k
    attend(q, k, v_proj, heads=heads, kv_heads=kv_heads, causal=true)
    o_proj: linear(F, bias=false)
}

block SwiGLU(hidden: int): [T, F] -> [T, F] {
    gate_proj: input -> linear(hidden, bias=false)
    up_proj:   input -> linear(hidden, bias=false)
    silu(gate_proj) * up_proj
    down_proj: linear(F, bias=false)
}

block Layer(angles: tensor, heads: int, kv_heads: int, hidden: int): [T, F] -> [T, F] {
    input_layernorm: rmsnorm(eps=1e-5)
    self_attn: Attention(angles, heads, kv_heads)
    self_attn + input as middle
    post_attention_layernorm: rmsnorm(eps=1e-5)
    mlp: SwiGLU(hidden)
    mlp + middle
}

network Llama(vocabulary: int = 128256, width: int = 4096, depth: int = 32, heads: int = 32, kv_heads: int = 8,
              hidden: int = 14336, base: float = 500000.0) {
    input tokens: int [T]
    let pair = width // heads // 2
    matmul(reshape(1.0 * arange(T), [T, 1]), reshape(base ** (-1.0 * arange(pair) / pair), [1, pair])) as angles
    model: {
        embed_tokens: tokens -> embedding(vocabulary, width)
        layers: { repeat depth { Layer(angles, heads, kv_heads, hidden) } }
        norm: rmsnorm(eps=1e-5)
    }
    lm_head: linear(vocabulary, bias=false)
}
"""

T5 = """
block Attention(bias: tensor, heads: int): [T, F] -> [T, F] {
    q: input -> linear(F, bias=false)
    k: input -> linear(F, bias=false)
    v: input -> linear(F, bias=false)
    attend(q, k, v, heads=heads, bias=bias, scale=1)
    o: linear(F, bias=false)
}

block Layer(bias: tensor, heads: int): [T, F] -> [T, F] {
    norm1: rmsnorm(eps=1e-6)
    attention: Attention(bias, heads)
    attention + input as middle
    norm2: rmsnorm(eps=1e-6)
    wi: linear(4 * F, bias=false)
    relu
    wo: linear(F, bias=false)
    wo + middle
}

network T5(vocabulary: int = 32128, width: int = 512, depth: int = 6, heads: int = 8, reach: int = 16) {
    input tokens: int [T]
    reshape(arange(T), [1, T]) - reshape(arange(T), [T, 1]) as distance
    relative: min(max(distance, -reach), reach) + reach -> embedding(2 * reach + 1, heads)
    relative -> permute(2, 0, 1) as bias
    shared: tokens -> embedding(vocabulary, width)
    block: { repeat depth { Layer(bias, heads) } }
    norm: rmsnorm(eps=1e-6)
}
"""

TRANSFORMER = """
block EncoderLayer(mask: tensor, heads: int, hidden: int): [S, F] -> [S, F] {
    self_attn: attention(heads=heads, mask=mask)
    norm1: self_attn + input -> layernorm
    linear1: linear(hidden)
    relu
    linear2: linear(F)
    norm2: linear2 + norm1 -> layernorm
}

block DecoderLayer(memory: tensor, mask: tensor, heads: int, hidden: int): [T, F] -> [T, F] {
    self_attn: attention(heads=heads, causal=true)
    norm1: self_attn + input -> layernorm
    multihead_attn: attention(heads=heads, keys=memory, mask=mask)
    norm2: multihead_attn + norm1 -> layernorm
    linear1: linear(hidden)
    relu
    linear2: linear(F)
    norm3: linear2 + norm2 -> layernorm
}

network Transformer(heads: int = 2, hidden: int = 16, depth: int = 2) {
    input source: [S, 8]
    input target: [T, 8]
    input mask: bool [S]
    encoder: { layers: { source; repeat depth { EncoderLayer(mask, heads, hidden) } }; norm: layernorm }
    decoder: { layers: { target; repeat depth { DecoderLayer(encoder, mask, heads, hidden) } }; norm: layernorm }
}
"""
