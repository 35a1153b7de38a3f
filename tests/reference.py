"""torchvision's networks as witnesses: with random weights that matter, and what they must agree on with a spec."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from specc.backends.pytorch import load, write
from specc.compiler import compile_text
from specc.data.project import open_spec
from specc.deploy.proof import relative_error
from specc.model.graph import Model

SPECS = Path(__file__).parent.parent / "specs"
TOLERANCE = 1e-5
SINGLE = {"output": "output"}
torch.set_num_threads(1)
_kept: list[torch.library.Library] = []  # what a library defines is gone when it is


def models() -> Any:
    """`torchvision.models`, also where torchvision's compiled part was built for another torch.

    The part holds operators for detection (non-maximum suppression, …), which no network here uses; but without it
    the import fails, for their shape rules are registered at once. So they are declared without being there.
    """
    try:
        import torchvision.models
    except RuntimeError:
        for name in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        found = importlib.util.find_spec("torchvision")
        assert found is not None
        assert found.origin is not None
        rules = Path(found.origin).with_name("_meta_registrations.py").read_text(encoding="utf-8")
        library = torch.library.Library("torchvision", "DEF")
        _kept.append(library)
        for name in sorted(set(re.findall(r'torchvision::(\w+)|register_meta\("(\w+)"\)', rules))):
            library.define(f"{''.join(name)}(Tensor x) -> Tensor")
        import torchvision.models
    return torchvision.models


def medical() -> Any:
    """MONAI, which asks for torchvision on its way in."""
    models()
    import monai

    return monai


def torchmetrics() -> Any:
    """torchmetrics, which asks for torchvision on its way in."""
    models()
    import torchmetrics.functional
    import torchmetrics.functional.segmentation

    return torchmetrics.functional


def reference(name: str, **options: Any) -> Any:
    """The network of that name (`resnet18`, `video.r3d_18`) in eval mode, with random weights and running statistics.

    torchvision starts norms, biases, layer scales and some heads with one number, so that they hardly matter; here
    they differ from place to place, or a spec that left one out would agree.
    """
    torch.manual_seed(0)
    make: Any = models()
    for part in name.split("."):
        make = getattr(make, part)
    for key in {"weights", "weights_backbone"} & inspect.signature(make).parameters.keys():  # none is downloaded
        options[key] = None
    module = make(**options).eval()
    generator = torch.Generator().manual_seed(1)
    for key, value in module.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.2, generator=generator)
        elif key.endswith("running_var"):
            value.uniform_(0.6, 1.4, generator=generator)
        elif value.is_floating_point() and (value.squeeze().dim() <= 1 or value.min() == value.max()):
            value.add_(torch.empty_like(value).uniform_(-0.2, 0.2, generator=generator))
    return module


@cache
def spec(name: str, network: str) -> Model:
    """A network of a bundled spec; asserts that there is nothing to say about the file."""
    project = open_spec(SPECS / f"{name}.net")
    found = compile_text(project.text, project.name, read=project.read, network=network)
    assert [(each.code, each.message) for each in found.bag] == []
    return found.model()


def same_weights(model: Model, witness: Any, ordered: bool = True) -> Any:
    """Keys, shapes, their order and the parameter count are equal. Gives the spec's module, with the witness's weights."""
    put = list if ordered else sorted
    keys = [(key, list(value.shape)) for key, value in witness.state_dict().items()]
    assert put((weight.key, list(weight.spec.shape)) for weight in model.weights) == put(keys)
    module = load(write(model), model.name)().eval()
    assert put((key, list(value.shape)) for key, value in module.state_dict().items()) == put(keys)
    assert sum(each.numel() for each in module.parameters()) == sum(each.numel() for each in witness.parameters())
    for key, value in module.named_buffers():  # what is the same for all weights is in the spec
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked")):
            assert relative_error(value.numpy(), witness.get_buffer(key).numpy()) <= 1e-6
    assert _settings(module) == _settings(witness)
    module.load_state_dict(witness.state_dict())
    return module


def _settings(module: Any) -> tuple[dict[str, tuple[float, float]], list[float]]:
    """What training depends on and outputs do not: the momentum of norms (and their eps), and the rates of dropout."""
    norms, rates = {}, []
    for path, each in module.named_modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):
            norms[path] = (each.eps, round(each.momentum, 9))
        elif isinstance(each, nn.Dropout) and each.p > 0:
            rates.append(each.p)
    return norms, sorted(rates)


def same_outputs(module: Any, witness: Any, x: torch.Tensor, names: Mapping[str, str] = SINGLE) -> float:
    """The largest difference of the two's logits, relative to their scale; `names` are the witness's outputs by ours."""
    with torch.no_grad():
        got, wanted = _by_name(module.logits(x), *names), _by_name(witness(x), *names.values())
    assert got.keys() == names.keys()
    return max(relative_error(got[key].numpy(), wanted[names[key]].numpy()) for key in got)


def _by_name(result: Any, name: str, *_: str) -> dict[str, torch.Tensor]:
    """Outputs by name, from a dict, a named tuple, or the one tensor that has this name."""
    if isinstance(result, torch.Tensor):
        return {name: result}
    return dict(result if isinstance(result, Mapping) else result._asdict())


def without_chance(module: Any) -> Any:
    """The module in training mode, with nothing left to chance."""
    for each in module.train().modules():
        if isinstance(each, nn.Dropout):
            each.p = 0.0
    return module
