"""Gradients added up over processes while the backward pass still runs, in pieces whose bounds never change.

PyTorch's own DistributedDataParallel lays its pieces anew after the first step, in the order in which gradients came.
Sums of more than two numbers depend on their order, so a run that was resumed would end in other bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

PIECE = 25 * 2**20  # bytes that travel together


class Gradients:
    """Adds up the gradients of some weights over all processes, which have gradients for the same of them.

    `begin` stands before the last backward pass of a step, `finish` after it; a weight without gradient is left so.
    """

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        self.pieces = pieces(weights)
        self.missing: list[set[int]] = []  # weights of each piece that wait for their gradient; empty before `begin`
        self.under_way: list[tuple[list[Tensor], Tensor, dist.Work]] = []
        for at, piece in enumerate(self.pieces):
            for each in piece:
                held = each.requires_grad
                each.requires_grad_(True)  # else it takes no hook; `freeze … until` lets it go later
                each.register_post_accumulate_grad_hook(self._came(at))  # type: ignore[no-untyped-call]
                each.requires_grad_(held)

    def begin(self) -> None:
        """Let pieces go on their way as soon as they are whole."""
        self.missing = [{id(each) for each in piece if each.requires_grad} for piece in self.pieces]

    def finish(self, more: Tensor) -> Tensor:
        """Wait until all gradients are those of all processes; the sum of `more` numbers, which travel along."""
        while len(self.under_way) < len(self.pieces) - 1:
            self._send()
        self._send([more])
        for tensors, flat, work in self.under_way:
            work.wait()
            parts = torch.split(flat, [each.numel() for each in tensors])
            for each, part in zip(tensors, parts, strict=True):
                each.copy_(part.view_as(each))
        self.missing, self.under_way = [], []
        return more

    def _came(self, at: int) -> Callable[[Tensor], None]:
        def came(weight: Tensor) -> None:
            if self.missing:
                self.missing[at].discard(id(weight))
                while len(self.under_way) < len(self.pieces) - 1 and not self.missing[len(self.under_way)]:
                    self._send()

        return came

    def _send(self, more: Sequence[Tensor] = ()) -> None:
        """The next piece; all processes send them in one order."""
        piece = self.pieces[len(self.under_way)]
        tensors = [*(each.grad for each in piece if each.grad is not None), *more]
        flat = torch.cat([each.reshape(-1) for each in tensors]) if tensors else torch.zeros(1, device=piece[0].device)
        work = dist.all_reduce(flat, async_op=True)
        assert work is not None
        self.under_way.append((tensors, flat, work))


def pieces(weights: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """The weights from the last to the first, as their gradients come, in pieces of one type."""
    found: list[list[nn.Parameter]] = []
    room = 0
    for each in reversed(weights):
        size = each.numel() * each.element_size()
        if not found or room < size or found[-1][0].dtype != each.dtype:
            found.append([])
            room = PIECE
        found[-1].append(each)
        room -= size
    return found
