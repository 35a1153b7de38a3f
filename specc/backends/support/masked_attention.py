"""Multi-head attention with a mask that says who may look, over any leading axes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class MaskedAttention(nn.Module):
    """nn.MultiheadAttention with a mask that is true where a query may look.

    Queries are [..., T, features], keys and values [..., S, width]; the mask meets
    scores [..., heads, T, S]. A query with nothing to look at gets 0 before `out_proj`.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
    ) -> None:
        super().__init__()
        plain = nn.MultiheadAttention(features, heads, 0.0, bias, kdim=kdim, vdim=vdim)
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = plain.in_proj_weight
        self.q_proj_weight = plain.q_proj_weight
        self.k_proj_weight = plain.k_proj_weight
        self.v_proj_weight = plain.v_proj_weight
        self.in_proj_bias = plain.in_proj_bias
        self.out_proj = plain.out_proj

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        if self.in_proj_weight is None:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        else:
            weights = self.in_proj_weight.chunk(3)
        none = (None, None, None)
        biases = none if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        inputs = zip((queries, keys, values), weights, biases, strict=True)
        q, k, v = (self.split_heads(F.linear(*each)) for each in inputs)
        rate = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, mask, rate, causal)
        y = y.transpose(-3, -2).flatten(-2)
        return F.linear(y, self.out_proj.weight, self.out_proj.bias)

    def split_heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-3, -2)
