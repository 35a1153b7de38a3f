"""One network in parts over several processes: each keeps a piece of every weight, of its gradient and of the optimizer.

PyTorch's `fully_shard` does it. Pieces are put together for saving, so that files are those of a network in one piece.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from specc.train.problem import TrainProblem
from specc.train.program import Code

LARGE = 2**20  # numbers from which on a block is gathered and let go by itself


def sharded(code: Code, device: torch.device, world: int) -> Code:
    """The code with its module in pieces; raises TrainProblem for what cannot be done so."""
    if not code.program.optimizer.entry.grouped:
        name = code.program.optimizer.entry.name
        message = f"`{name}` takes all weights as one vector, which `--shard` would part"
        raise TrainProblem("not-sharded", message, "leave `--shard` out, or take `adam`")
    if code.speed.scales:
        message = "fp16 scales the loss by what all gradients allow, which `--shard` has in pieces"
        raise TrainProblem("not-sharded", message, "take `precision bf16`, or leave `--shard` out")
    mesh = init_device_mesh(device.type, (world,))
    for block in blocks(code.module):
        fully_shard(block, mesh=mesh)
    fully_shard(
        code.module, mesh=mesh, reshard_after_forward=True
    )  # else it keeps weights that others were put in place of
    register_fsdp_forward_method(code.module, "logits")
    for each in code.module.modules():
        if isinstance(each, FSDPModule):
            each.set_gradient_divide_factor(1.0)  # parts of one loss are added up
            each.set_force_sum_reduction_for_comms(True)
    weights = dict(code.module.named_parameters(remove_duplicate=False))
    return replace(code, weights=weights, forward=code.speed.applied(code.module, device))


def blocks(module: nn.Module) -> list[nn.Module]:
    """The large blocks of a network that share no weight with the rest, those within others before them.

    A block is what the spec calls so: layers stay with theirs, which may look into their weights.
    """
    uses: dict[int, int] = {}
    for _, weight in module.named_parameters(remove_duplicate=False):
        uses[id(weight)] = uses.get(id(weight), 0) + 1
    found = []
    for each in module.modules():
        if each is module or type(each).__module__.startswith("torch."):
            continue
        own = list(each.named_parameters(remove_duplicate=False))
        if sum(each_.numel() for _, each_ in own) >= LARGE and all(uses[id(each_)] == 1 for _, each_ in own):
            found.append(each)
    return found[::-1]


def penalty(code: Code) -> torch.Tensor | float:
    """What is added for the size of the pieces of this process; it is a sum, so over all processes it is that of all."""
    pieces = {key: each.to_local() for key, each in code.weights.items() if isinstance(each, DTensor)}
    found: torch.Tensor | float = code.functions.penalty(pieces)
    return found
