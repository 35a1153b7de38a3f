"""A recurrent layer with everything that may go in and come out, the batch always in front."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def run_recurrent(
    layers: nn.LSTM | nn.GRU | nn.RNN,
    x: Tensor,
    lengths: Tensor | None = None,
    hidden: Tensor | None = None,
    cell: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The output and the last states of `x` [batch, length, features].

    States are [batch, layers * directions, features], zero at first where not given.
    What lies behind a sample's length is not read, and is 0 in the output.
    """
    rows = layers.num_layers * (1 + layers.bidirectional)
    zeros = x.new_zeros(x.shape[0], rows, layers.hidden_size)
    first = [zeros if hidden is None else hidden]
    if isinstance(layers, nn.LSTM):
        first.append(zeros if cell is None else cell)
    start = tuple(each.transpose(0, 1).contiguous() for each in first)
    state = start if isinstance(layers, nn.LSTM) else start[0]
    if lengths is None:
        y, last = layers(x, state)
    else:
        most = x.shape[1]
        counts = lengths.clamp(1, most).cpu()
        packed = pack_padded_sequence(x, counts, batch_first=True, enforce_sorted=False)
        y, last = layers(packed, state)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=most)
    ends = last if isinstance(last, tuple) else (last,)
    states = tuple(each.transpose(0, 1) for each in ends)
    if lengths is None:
        return y, *states
    some = (lengths > 0)[:, None, None]  # packing takes no empty sequence
    kept = (torch.where(some, *pair) for pair in zip(states, first, strict=True))
    return y.masked_fill(~some, 0), *kept
