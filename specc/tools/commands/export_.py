"""Write ONNX from a run or a spec, prove it equal to the PyTorch, and only then give it its name."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specc.backends.onnx_weights import WeightFile, WeightProblem
from specc.backends.weight_keys import match
from specc.compiler import Compilation, compile_text
from specc.data.files import FileProblem
from specc.data.sources import DataProblem
from specc.deploy.described import Origin, Side
from specc.deploy.export import Exported, export
from specc.deploy.form import Form, insides, sizes_of
from specc.model.graph import Model
from specc.text.diagnostics import Bag, SpecError
from specc.tools import common
from specc.tools.cli import Failure

if TYPE_CHECKING:
    from specc.train.runs import Run

CALIBRATED: Final = 256


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN|FILE", help="a run folder, or a spec with --weights")
    parser.add_argument("-o", "--output", metavar="MODEL.onnx", required=True)
    parser.add_argument("--weights", metavar="FILE", help="weights for a spec: .safetensors or .pth; a run has its own")
    parser.add_argument(
        "--no-proof", action="store_true", help="write without proof (said in the file); needs no torch"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "fp16", "int8", "bf16"), help="how numbers are kept (default: fp32)"
    )
    parser.add_argument("--calibrate", type=int, metavar="N", help="training samples for the ranges of int8 (256)")
    parser.add_argument(
        "--allow-loss", type=float, default=0.01, metavar="X", help="how much worse fp16 and int8 may be (0.01)"
    )
    parser.add_argument(
        "--no-prepare", action="store_true", help="leave `prepare` out: the file takes what the network takes"
    )
    parser.add_argument("--no-postprocess", action="store_true", help="leave `postprocess` out: no output `classes`")
    parser.add_argument("--keep-batchnorm", action="store_true", help="batch normalisations stay nodes of their own")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--single-file", action="store_true", help="weights inside the file, whatever their size")
    side.add_argument("--side-file", action="store_true", help="weights in a file beside it, whatever their size")
    parser.add_argument("--triton", metavar="DIR", help="also write a model repository for Triton into this folder")
    common.spec_options(parser)


def run(args: Namespace) -> int:
    side = True if args.side_file else False if args.single_file else None
    found, weights, extra = _source(args)
    found, form = _deployed(found, args, extra)
    origin = Origin(
        found.source.text, found.source.name, found.model().name, found.settings, found.sizes, found.imports
    )
    run_ = extra.pop("run", None)
    try:
        if form.precision != "fp32":
            form = _lowered(found, form, weights, run_, extra, args)
        written = export(
            found.model(),
            origin,
            args.output,
            weights=weights,
            prove=not args.no_proof,
            form=form,
            side_file=side,
            **extra,
        )
    except SpecError as error:
        bag = Bag()
        bag.add(error.diagnostic)
        common.show(bag)
        return 1
    except WeightProblem as problem:
        code = 1 if problem.code == "weights-differ" else 2
        raise Failure(code, str(problem), problem.help, problem.code) from None
    except FileProblem as problem:
        raise Failure(2, str(problem), problem.help) from None
    except Exception as problem:
        _disproved(problem)
        raise
    finally:
        weights.close()
    for remark in match(found.model(), weights).remarks:
        print(f"note: {remark}", file=sys.stderr)
    _say(written, form, found.model())
    if args.triton:
        _serve(args)
    return 0


def _serve(args: Namespace) -> None:
    """The model repository of `--triton`."""
    from specc.deploy.triton import write_repository

    try:
        folder = write_repository(args.output, args.triton)
    except FileProblem as problem:
        raise Failure(2, str(problem), problem.help) from None
    print(f"wrote {folder}: tritonserver --model-repository {args.triton}", file=sys.stderr)


def _deployed(found: Compilation, args: Namespace, extra: Mapping[str, Any]) -> tuple[Compilation, Form]:
    """The network with the sizes that are fixed, and the form that the spec's `export` section and `args` ask for."""
    name = found.model().name
    deployment = found.deployments.get(name)
    if deployment is None and found.unit is not None and found.unit.sections:
        raise Failure(1, "the `export` section asks for what this version cannot do yet", "`specc check` says what")
    prepare = {} if args.no_prepare or (deployment and not deployment.prepare) else extra.get("prepare", {})
    sizes = {**(deployment.sizes if deployment else {}), **common.sizes(args)}
    if prepare:
        sizes = {**sizes_of(found.model(), prepare), **sizes}
    if sizes != found.sizes:
        found = compile_text(
            found.source.text,
            found.source.name,
            network=name,
            settings=found.settings,
            sizes=sizes,
            read=found.imports.get,
        )
        common.show(found.bag)
        if not found.ok:
            raise Failure(1)
    outputs = (deployment.outputs if deployment else ()) or None
    try:
        inside = insides(found.model(), prepare, extra.get("encoding"))
    except DataProblem as problem:
        raise Failure(1, problem.message, problem.help) from None
    folded = not args.keep_batchnorm and (deployment is None or deployment.folded)
    precision = args.precision or (deployment.precision if deployment else "fp32")
    if precision == "bf16":
        message = "onnxruntime has no kernels for bf16 on CPUs, nor ONNX a convolution in it before opset 22"
        raise Failure(1, message, "take fp16, or int8", "unsupported-setting")
    args.calibrate = args.calibrate or (deployment.calibrate if deployment else 0) or CALIBRATED
    steps = () if args.no_postprocess or (deployment and not deployment.postprocess) else found.postprocess(name)
    threshold = next((each.entry.x for each in steps if each.entry.first), None)
    for each in steps:
        if not each.entry.first:
            what = f"`{each.entry.name}` is not in the file, since ONNX has no connected regions"
            print(f"note: {what}; `specc predict` does it", file=sys.stderr)
    return found, Form(outputs, inside, folded, precision, threshold=threshold)


def _lowered(
    found: Compilation, form: Form, weights: WeightFile, run: Run | None, extra: dict[str, Any], args: Namespace
) -> Form:
    """The form in a lower precision, held against fp32 on the test part of the run; refused where it is much worse."""
    if run is None:
        if form.precision == "int8":
            raise Failure(2, "int8 takes the ranges of tensors from training samples", "export a run folder")
        print("note: what fp16 costs is measured on the data of a run; here there is none", file=sys.stderr)
        return form
    from specc.deploy.measured import Measured
    from specc.train.problem import TrainProblem

    try:
        measured = Measured(run, found.model(), weights)
        try:
            if form.precision == "int8":
                form = replace(form, ranges=measured.ranges(form, args.calibrate))
            lost, extra["accuracy"] = measured.compared(form)
        finally:
            measured.close()
    except (TrainProblem, DataProblem) as problem:
        raise common.refused(problem) from None
    print(f"test: {lost.name} {lost.got:.4f} in {form.precision}, {lost.single:.4f} in fp32", file=sys.stderr)
    if not lost.loss <= args.allow_loss:
        message = f"{form.precision} is worse than fp32 by {lost.loss:.4f}, more than {args.allow_loss:g}; nothing was written"
        help, code = f"take another precision, or allow it: --allow-loss {_above(lost.loss):g}", "precision-loss"
        raise Failure(1, message, help, code)
    return form


def _above(loss: float) -> float:
    """A round number that is not below a loss."""
    return ceil(loss * 100) / 100


def _disproved(problem: Exception) -> None:
    """A proof that fails ends with exit 1 and the first step at which the two part."""
    from specc.deploy.proof import Disproved

    if isinstance(problem, Disproved):
        where = f" (first at `{problem.step.path}`, line {problem.step.span.line} of the spec)" if problem.step else ""
        raise Failure(1, f"{problem.message}{where}; nothing was written", problem.help) from None


def _source(args: Namespace) -> tuple[Compilation, WeightFile, dict[str, Any]]:
    """The compiled spec, its weights, and what a run adds: class names, preparation, encoding."""
    path = Path(args.source)
    if path.is_dir():
        from specc.tools.runs import opened

        return opened(path, args)
    found = common.compiled(args.source, args)
    if args.weights is None:
        raise Failure(2, "a spec alone has no weights", "give --weights FILE, or export a run folder")
    return found, common.weights(args.weights), {}


def _say(written: Exported, form: Form, model: Model) -> None:
    side = f" and {written.side.name}" if written.side else ""
    size = written.weights / 2**20
    print(f"wrote {written.path}{side} ({size:.1f} MiB of weights)", file=sys.stderr)
    for name, inside in form.inside.items():
        if inside.steps:
            taken = Side(name, inside.raw.dtype, inside.raw.shape)
            print(f"takes `{name}` {taken.dtype} {taken.spelled()}, raw: {inside.steps} in the file", file=sys.stderr)
    if form.threshold is not None:
        said = [each.name for each in form.gives(model) if each.above is not None]
        if said:
            print(f"gives {', '.join(said)}: threshold({form.threshold:g}) in the file", file=sys.stderr)
    if written.proof is None:
        print("unproved: specc verify can prove it later", file=sys.stderr)
        return
    sizes = [", ".join(f"{k}={v}" for k, v in run.sizes.items()) for run in written.proof.runs]
    tried = "; ".join(
        f"batch {run.batch}{' ' + size if size else ''}" for run, size in zip(written.proof.runs, sizes, strict=True)
    )
    kept = "" if form.precision != "int8" else ", with these weights in fp32"
    print(f"proved equal to PyTorch{kept}: largest relative error {written.proof.error:.1e} ({tried})", file=sys.stderr)
    if form.precision == "int8":
        print(f"in int8 it is off by {written.proof.rounding:.1e} on the same random inputs", file=sys.stderr)
