"""Convolutions, pools, normalisation and resampling: what works on the axes after the channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from specc.catalogue.entry import BadArguments, Misfit
from specc.catalogue.op import Op
from specc.catalogue.ops import adaptive, conv, groupnorm, layernorm, normalize, pooling, shuffle, upconv
from specc.catalogue.ops.padding import Pad
from specc.catalogue.ops.resize import Interpolate
from specc.catalogue.ops.sampling import GridSample
from specc.deploy.reading.pointwise import without_defaults
from specc.deploy.reading.reader import Reader, Reading
from specc.deploy.reading.values import Known, shortened
from specc.deploy.reading.view import View
from specc.sizes.dim import Dim

PadWidths = int | list[Any]


def _one(values: list[Any]) -> Any:
    """One number for all axes where they are alike."""
    alike = values and all(each == values[0] for each in values) and not isinstance(values[0], list)
    return values[0] if alike else values


def _front(n: Reading, x: View, axes: int = 0) -> int:
    """How many spatial axes there are; refuses a tensor whose batch is not in front."""
    if not x.axes or x.own(0) is not None or len(x.axes[0]) != 1 or any(x.own(at) is None for at in range(1, x.rank)):
        n.refuse("it needs the batch in front and the channels behind it")
    return x.rank - 2


def _pads(n: Reading, rank: int, x: View, extents: list[int], strides: list[int]) -> list[Any]:
    """Zeros before and after each axis, from `pads` or from the older `auto_pad`."""
    auto = n.attribute("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        given = list(n.attribute("pads", [0] * (2 * rank)))
        pairs = list(zip(given[:rank], given[rank:], strict=True))
    elif auto == "VALID":
        pairs = [(0, 0)] * rank
    else:
        pairs = []
        for size, extent, stride in zip(x.type.spatial, extents, strides, strict=True):
            if isinstance(size, Dim):
                n.refuse(f"auto_pad {auto} of a size that is not known")
            whole = max((-(-size // stride) - 1) * stride + extent - size, 0)
            half = whole // 2
            pairs.append((half, whole - half) if auto == "SAME_UPPER" else (whole - half, half))
    return [before if before == after else [before, after] for before, after in pairs]


def _window(n: Reading, rank: int, kernel: list[int], x: View, kind: type[Op]) -> dict[str, Any]:
    strides = list(n.attribute("strides", [1] * rank))
    dilations = list(n.attribute("dilations", [1] * rank))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads: list[Any] = [0] if _same(n, x, kind) else _pads(n, rank, x, extents, strides)
    return {"stride": _one(strides), "padding": _one(pads), "dilation": _one(dilations)}


def _same(n: Reading, x: View, kind: type[Op]) -> bool:
    """Whether the padding is what a convolution calls `same`; needed where sizes are not known."""
    unknown = any(isinstance(size, Dim) for size in x.type.spatial)
    return kind is conv.Conv and unknown and n.attribute("auto_pad", "NOTSET") == "SAME_UPPER"


def convolution(n: Reading) -> None:
    x, weight = n.view(0), n.known(1, "weight")
    rank = _front(n, x)
    groups = n.attribute("group", 1)
    kernel = list(weight.shape[2:])
    found = {
        "channels": weight.shape[0],
        "kernel": _one(kernel),
        **_window(n, rank, kernel, x, conv.Conv),
        "groups": groups,
    }
    if _same(n, x, conv.Conv):
        found["padding"] = "same"
    weights = _weights(n, weight)
    found["bias"] = "bias" in weights
    n.give(*n.add(conv.Conv, _fitting(conv.Conv, found, n, x), x, weights=weights))


def _weights(n: Reading, weight: Any) -> dict[str, Any]:
    """The kernel and the bias; zeros that are no weight of the file are none."""
    bias = n.value(2) if n.has(2) else None
    if bias is None or (isinstance(bias, Known) and not bias.name and not bias.array.any()):
        return {"weight": weight}
    return {"weight": weight, "bias": n.known(2, "bias")}


def _fitting(kind: type[Op], found: dict[str, Any], n: Reading, x: View, fit: str = "down") -> dict[str, Any]:
    """The arguments, with `fit=` where the last window is not as a spec would have it: other programs say nothing."""
    given = without_defaults(kind, found)
    if "fit" not in kind.fields:
        return given
    try:
        plain, other = kind.make(given), kind.make({**given, "fit": fit})
        fits = all(rule.predicate is not False for rule in plain.rules(x.type))
        same = plain.gives(x.type) == other.gives(x.type)
    except (Misfit, BadArguments):  # said when the step is added
        return given
    return given if fits and same else {**given, "fit": fit}


def transposed(n: Reading) -> None:
    x, weight = n.view(0), n.known(1, "weight")
    rank = _front(n, x)
    groups, kernel = n.attribute("group", 1), list(weight.shape[2:])
    if n.attribute("output_shape") is not None or n.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        n.refuse("it is given by the size of its output")
    window = _window(n, rank, kernel, x, upconv.UpConv)
    added = list(n.attribute("output_padding", [0] * rank))
    pads = window["padding"] if isinstance(window["padding"], list) else [window["padding"]] * rank
    for at, each in enumerate(pads):
        if isinstance(each, list):  # what is cut off less behind is what is added there
            if each[0] < each[1]:
                n.refuse("it cuts off more behind than before")
            pads[at], added[at] = each[0], added[at] + each[0] - each[1]
    window["padding"] = _one(pads)
    weights = _weights(n, weight)
    found = {"channels": weight.shape[1] * groups, "kernel": _one(kernel), **window, "groups": groups, "bias": "bias" in weights,
             "output_padding": _one(added)}  # fmt: skip
    n.give(*n.add(upconv.UpConv, without_defaults(upconv.UpConv, found), x, weights=weights))


def pool(kind: type[Op]) -> Reader:
    def read(n: Reading) -> None:
        x = n.view(0)
        rank = _front(n, x)
        kernel = list(n.attribute("kernel_shape"))
        found = {"kernel": _one(kernel), **_window(n, rank, kernel, x, kind)}
        if found["stride"] == found["kernel"]:
            del found["stride"]
        if kind is pooling.AvgPool:
            if found.pop("dilation") != 1:
                n.refuse("an average with dilation")
            if found["padding"] != 0:
                found["count_padding"] = bool(n.attribute("count_include_pad", 0))
        if not n.unused(1):
            n.refuse("its indices are used")
        fit = "up" if n.attribute("ceil_mode", 0) else "down"
        n.give(*n.add(kind, _fitting(kind, found, n, x, fit), x)[:1])

    return read


def everywhere(kind: type[Op]) -> Reader:
    """A pool over all places that keeps the axes."""

    def read(n: Reading) -> None:
        x = n.view(0)
        _front(n, x)
        n.give(*n.add(kind, {"size": 1}, x))

    return read


def batchnorm(n: Reading) -> None:
    x = n.view(0)
    if n.attribute("training_mode", 0):
        n.refuse("it is in training mode")
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {name: n.known(at + 1, name) for at, name in enumerate(names)}
    weights["num_batches_tracked"] = np.array(0, dtype=np.int64)
    found = without_defaults(normalize.BatchNorm, {"eps": n.attribute("epsilon", 1e-5)})
    n.give(*n.add(normalize.BatchNorm, found, x, weights=weights)[:1])


def instancenorm(n: Reading) -> None:
    x = n.view(0)
    weights = {"weight": n.known(1, "scale"), "bias": n.known(2, "bias")}
    found = {"affine": True, **without_defaults(groupnorm.InstanceNorm, {"eps": n.attribute("epsilon", 1e-5)})}
    n.give(*n.add(groupnorm.InstanceNorm, found, x, weights=weights))


def groups(n: Reading) -> None:
    x, scale, bias = n.view(0), n.known(1, "scale"), n.known(2, "bias")
    count = n.attribute("num_groups")
    if isinstance(x.type.channels, Dim):
        n.refuse("it does not say how many channels there are")
    if scale.size != x.type.channels:  # version 18 had one number for each group
        times = x.type.channels // scale.size
        scale, bias = scale.repeat(times), bias.repeat(times)
    found = {"groups": count, **without_defaults(groupnorm.GroupNorm, {"eps": n.attribute("epsilon", 1e-5)})}
    n.give(*n.add(groupnorm.GroupNorm, found, x, weights={"weight": scale, "bias": bias}))


def layers(n: Reading) -> None:
    x, scale = n.view(0), n.known(1, "scale")
    own = n.owns(x, range(n.attribute("axis", -1) % x.rank, x.rank))
    if not n.unused(1) or not n.unused(2):
        n.refuse("its statistics are used")
    found = without_defaults(layernorm.LayerNorm, {"eps": n.attribute("epsilon", 1e-5), "bias": n.has(2)})
    found |= {"axis": own} if len(own) > 1 else {}
    weights = {"weight": scale} | ({"bias": n.known(2, "bias")} if n.has(2) else {})
    n.give(*n.add(layernorm.LayerNorm, found, x, weights=weights)[:1])


def rms(n: Reading) -> None:
    x, scale = n.view(0), n.known(1, "scale")
    if n.attribute("axis", -1) % x.rank != x.rank - 1:
        n.refuse("it works along several axes")
    found = without_defaults(layernorm.RMSNorm, {"eps": n.attribute("epsilon", 1e-5)})
    n.give(*n.add(layernorm.RMSNorm, found, x, weights={"weight": scale.reshape(-1)}))


def lrn(n: Reading) -> None:
    given = {"alpha": n.attribute("alpha", 1e-4), "beta": n.attribute("beta", 0.75), "k": n.attribute("bias", 1.0)}
    found = {"size": n.attribute("size"), **without_defaults(normalize.LocalResponseNorm, given)}
    n.give(*n.add(normalize.LocalResponseNorm, found, n.view(0)))


def padded(n: Reading) -> None:
    x = n.view(0)
    widths = n.sizes(1, "pads") if n.has(1) else tuple(n.attribute("pads", ()))
    axes = n.listed("axes", 3) or list(range(x.rank))
    mode = {"constant": "zeros", "reflect": "reflect", "edge": "replicate"}.get(n.attribute("mode", "constant"))
    if mode is None:
        n.refuse(f"its mode is {n.attribute('mode')}")
    value = float(n.known(2, "value").reshape(-1)[0]) if n.has(2) else float(n.attribute("value", 0.0))
    pairs = {axes[at]: [widths[at], widths[at + len(axes)]] for at in range(len(axes))}
    wanted = {axis: pair for axis, pair in pairs.items() if any(each != 0 for each in pair)}
    if not wanted:
        n.give(x)
        return
    if any(isinstance(each, int) and each < 0 for pair in wanted.values() for each in pair):
        n.refuse("it pads by less than nothing")
    owns = n.owns(x, list(wanted))
    found = {"widths": [pair[0] if pair[0] == pair[1] else pair for pair in wanted.values()], "axes": owns}
    found |= without_defaults(Pad, {"mode": mode, "value": shortened(value)})
    n.give(*n.add(Pad, found, x))


def resized(n: Reading) -> None:
    """Only what PyTorch can do as well: half-pixel or aligned corners, nearest with floor."""
    x = n.view(0)
    rank = _front(n, x)
    mode = {"nearest": "nearest", "linear": "linear", "cubic": "cubic"}.get(n.attribute("mode", "nearest"))
    places = n.attribute("coordinate_transformation_mode", "half_pixel")
    found: dict[str, Any] = {"mode": mode} if mode != "nearest" else {}
    if mode == "nearest":
        if not (places == "asymmetric" and n.attribute("nearest_mode", "round_prefer_floor") == "floor"):
            if not _whole_factor(n, rank):
                n.refuse(
                    f"the nearest place is chosen by {places}, {n.attribute('nearest_mode', 'round_prefer_floor')}"
                )
    elif places == "align_corners":
        found["align_corners"] = True
    elif places not in ("half_pixel", "pytorch_half_pixel"):
        n.refuse(f"its places are those of {places}")
    if mode == "cubic" and not np.isclose(n.attribute("cubic_coeff_a", -0.75), -0.75):
        n.refuse("its cubic coefficient is not -0.75")
    at = 1 if n.node.kind == "Upsample" else 2
    axes = [axis % x.rank for axis in n.attribute("axes", range(x.rank))]
    skip = x.rank - rank if axes == list(range(x.rank)) else 0
    if axes[skip:] != list(range(2, x.rank)):
        n.refuse("it resizes channels, or not every axis after them")
    if n.has(at) and (not isinstance(n.value(at), Known) or n.known(at).size):
        scales = [float(each) for each in n.known(at, "scales")]
        if any(each != 1 for each in scales[:skip]):
            n.refuse("it resizes channels")
        found["scale"] = _one([shortened(each) for each in scales[skip:]])
    else:
        sizes = n.sizes(3, "sizes")
        found["size"] = tuple(sizes[skip:])
    n.give(*n.add(Interpolate, found, x))


def _whole_factor(n: Reading, rank: int) -> bool:
    """Whether every factor is a whole number, where all ways to choose the nearest agree but for ties."""
    if not n.has(2) or not isinstance(n.value(2), Known):
        return False
    mode = n.attribute("nearest_mode", "round_prefer_floor")
    return all(float(each).is_integer() for each in n.known(2)) and mode in ("round_prefer_floor", "floor")


def shuffled(kind: type[Op]) -> Reader:
    def read(n: Reading) -> None:
        if kind is shuffle.PixelShuffle and n.attribute("mode", "DCR") != "CRD":
            n.refuse("its channels lie depth first (DCR)")
        n.give(*n.add(kind, {"factor": n.attribute("blocksize")}, n.view(0)))

    return read


def sampled(n: Reading) -> None:
    x, places = n.view(0), n.view(1)
    modes = {"bilinear": "linear", "linear": "linear", "nearest": "nearest"}
    mode = modes.get(n.attribute("mode", "linear"))
    if mode is None:
        n.refuse(f"its mode is {n.attribute('mode')}")
    words = {
        "mode": mode,
        "padding": n.attribute("padding_mode", "zeros"),
        "align_corners": bool(n.attribute("align_corners", 0)),
    }
    n.give(*n.add(GridSample, without_defaults(GridSample, words), x, places))


READERS: dict[str, Reader] = {
    "Conv": convolution, "ConvTranspose": transposed, "MaxPool": pool(pooling.MaxPool), "AveragePool": pool(pooling.AvgPool),
    "GlobalAveragePool": everywhere(adaptive.AdaptiveAvgPool), "GlobalMaxPool": everywhere(adaptive.AdaptiveMaxPool),
    "BatchNormalization": batchnorm, "InstanceNormalization": instancenorm, "GroupNormalization": groups,
    "LayerNormalization": layers, "RMSNormalization": rms, "LRN": lrn, "Pad": padded, "Resize": resized,
    "Upsample": resized, "GridSample": sampled, "DepthToSpace": shuffled(shuffle.PixelShuffle),
}  # fmt: skip
