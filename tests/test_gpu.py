"""What `specc doctor` and the providers say of GPUs: decided from facts about a machine, which the tests make up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx_files import DIGITS, NET, exported

from specc.deploy import gpu
from specc.deploy.buffers import Buffers
from specc.deploy.gpu import Machine, findings, needed
from specc.deploy.providers import CPU, CUDA, TENSORRT, NoDevice, Where, chosen
from specc.deploy.runtime import Predictor
from specc.tools.cli import main

ALL = [TENSORRT, CUDA, CPU]
WORKS = Machine(
    {"torch": "2.13.0+cu130", "onnxruntime-gpu": "1.31.1"},
    "580.65",
    "13.0",
    "13.0",
    frozenset({*needed("13.0"), "libnvinfer.so.10"}),
    True,
    (CUDA, CPU),
)


# --------------------------------------------------------------------------------------------------------- doctor
def test_a_machine_that_works_and_one_without_a_gpu_have_nothing_wrong() -> None:
    assert list(findings(WORKS)) == []
    plain = Machine({"torch": "2.13.0+cpu", "onnxruntime-gpu": "1.31.1"}, providers=(CPU,), runtime_cuda="13.0")
    assert list(findings(plain)) == []


@pytest.mark.parametrize(
    ("changes", "says", "help"),
    [
        ({"packages": {"torch": "2.13.0"}}, "onnxruntime is missing", "pip install onnxruntime-gpu"),
        (
            {"packages": WORKS.packages | {"onnxruntime": "1.31.1"}, "providers": (CPU,)},
            "are both installed and overwrite each other",
            "pip uninstall -y onnxruntime onnxruntime-gpu",
        ),
        (
            {"driver": "550.54"},
            "the driver 550.54 is older than torch needs: built for CUDA 13.0",
            "or install torch for CUDA 12",
        ),
        ({"torch_cuda": "", "torch_works": False}, "is built for the CPU, and there is a GPU", "pip install torch"),
        ({"torch_works": False}, "torch is built for CUDA and sees no GPU", "nvidia-smi"),
        (
            {"packages": {"torch": "2.13.0", "onnxruntime": "1.31.1"}, "providers": (CPU,), "runtime_cuda": ""},
            "this onnxruntime is built for the CPU",
            "pip uninstall -y onnxruntime, then",
        ),
        (
            {"libraries": WORKS.libraries - {"libcudnn.so.9"}, "providers": (CPU,)},
            "it cannot load libcudnn.so.9",
            "onnxruntime-gpu[cudnn]",
        ),
        (
            {"libraries": frozenset(), "providers": (CPU,)},
            "libcudart.so.13, libcublas.so.13, libcublasLt.so.13, libcufft.so.12, libcudnn.so.9",
            "onnxruntime-gpu[cuda,cudnn]",
        ),
        ({"providers": (CPU,)}, "although its libraries are there", "--device cuda shows"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(changes: dict[str, Any], says: str, help: str) -> None:
    found = list(findings(replace(WORKS, **changes)))
    assert any(says in each.says and help in each.help and each.serious for each in found), found


def test_tensorrt_is_missed_without_being_a_fault() -> None:
    (found,) = findings(replace(WORKS, libraries=frozenset(needed("13.0"))))
    assert not found.serious
    assert "libnvinfer.so.10" in found.says


@pytest.mark.parametrize(("machine", "code"), [(WORKS, 0), (replace(WORKS, providers=(CPU,)), 2)])
def test_doctor_ends_with_a_code_and_writes_json(machine: Machine, code: int, monkeypatch: Any, capsys: Any) -> None:
    from specc.tools.commands.doctor_ import PACKAGES

    whole = replace(machine, packages=dict.fromkeys(PACKAGES, "1") | machine.packages)
    monkeypatch.setattr(gpu, "look", lambda packages: whole)
    assert main(["doctor"]) == code
    said = capsys.readouterr().out
    assert "NVIDIA driver 580.65" in said
    assert ("nothing is wrong" in said) == (code == 0)
    assert main(["doctor", "--format", "json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert data["machine"]["driver"] == "580.65"
    assert bool(data["findings"]) == (code == 2)


# ------------------------------------------------------------------------------------------------------ providers
def test_the_providers_that_are_asked_for(tmp_path: Path) -> None:
    assert chosen(Where("cpu"), ALL) == [(CPU, {})]
    assert chosen(Where(), [CPU]) == [(CPU, {})]
    assert chosen(Where(), ALL) == [(CUDA, {"device_id": "0"}), (CPU, {})]
    assert chosen(Where("cuda", gpu=1, cuda_graph=True), ALL)[0] == (CUDA, {"device_id": "1", "enable_cuda_graph": "1"})
    names = [name for name, _ in chosen(Where("tensorrt", engines=tmp_path), ALL)]
    assert names == ALL
    options = chosen(Where("tensorrt", engines=tmp_path, cuda_graph=True), ALL)[0][1]
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert options["trt_cuda_graph_enable"] == "1"
    for where, built in ((Where("cuda"), [CPU]), (Where("tensorrt"), [CUDA, CPU]), (Where(cuda_graph=True), ALL)):
        with pytest.raises(NoDevice):
            chosen(where, built)


class Fake:
    """A session that ends up on the providers it is told, with these nodes left on the CPU."""

    def __init__(self, real: Any, providers: list[str], left: list[tuple[str, str]]) -> None:
        self._real, self._providers, self._left = real, providers, left

    def get_providers(self) -> list[str]:
        return self._providers

    def get_outputs(self) -> Any:
        return self._real.get_outputs()

    def get_provider_graph_assignment_info(self) -> list[Any]:
        nodes = [SimpleNamespace(name=name, op_type=kind) for name, kind in self._left]
        return [SimpleNamespace(ep_name=CPU, get_nodes=lambda: nodes)]


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make onnxruntime claim GPUs; the sessions it opens are fakes over real ones, and what was asked is kept."""
    real = onnxruntime.InferenceSession
    asked: list[Any] = []

    def become(providers: list[str], left: list[tuple[str, str]] | None = None) -> list[Any]:
        def make(path: str, options: Any, **more: Any) -> Fake:
            asked.append((options, more["providers"]))
            return Fake(real(path, providers=[CPU]), providers, left or [])

        monkeypatch.setattr(onnxruntime, "InferenceSession", make)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: asked.append("preloaded"))
        return asked

    return become


def test_a_session_that_fell_back_is_refused_and_auto_says_it(tmp_path: Path, faked: Any) -> None:
    path = exported(DIGITS, tmp_path, prove=False)
    faked([CPU])
    with pytest.raises(NoDevice, match="the GPU cannot be used: onnxruntime fell back to CPU"):
        Predictor(path, "cuda")
    with pytest.raises(NoDevice, match="TensorRT cannot be used"):
        Predictor(path, "tensorrt", engines=tmp_path / "engines")
    assert "running on the CPU" in Predictor(path).notice
    faked([CUDA, CPU])
    assert Predictor(path).notice == ""
    with pytest.raises(NoDevice, match="TensorRT cannot be used: onnxruntime fell back to CUDA, CPU"):
        Predictor(path, "tensorrt", engines=tmp_path / "engines")


def test_a_network_that_runs_in_part_on_the_cpu_is_refused(tmp_path: Path, faked: Any) -> None:
    path = exported(NET, tmp_path, prove=False)
    faked([CUDA, CPU], [("c1.0", "Conv"), ("up", "ConvTranspose")])
    with pytest.raises(NoDevice, match=r"on the CPU would run `c1\.0` \(Conv\), `up` \(ConvTranspose\)"):
        Predictor(path, "cuda")
    assert Predictor(path).providers == (CUDA, CPU)


def test_what_only_works_out_sizes_may_stay_on_the_cpu(tmp_path: Path, faked: Any) -> None:
    import onnx

    text = "network N {\n    input x: [2, H, W]\n    a: conv(2, 1) -> maxpool(2, fit=down)\n    interpolate(a, size=x.spatial)\n}\n"
    path = exported(text, tmp_path, prove=False)
    kinds = {each.name: each.op_type for each in onnx.load(str(path)).graph.node}
    sizes = [(name, kind) for name, kind in kinds.items() if kind in ("Shape", "Concat", "Gather")]
    assert sizes
    asked = faked([CUDA, CPU], sizes)
    assert Predictor(path, "cuda").providers == (CUDA, CPU)
    assert "preloaded" in asked
    options, providers = asked[-1]
    assert providers == [(CUDA, {"device_id": "0"}), (CPU, {})]
    assert options.get_session_config_entry("session.record_ep_graph_assignment_info") == "1"


def test_cuda_libraries_are_loaded_only_for_a_gpu(tmp_path: Path, faked: Any) -> None:
    asked = faked([CPU])
    Predictor(exported(DIGITS, tmp_path, prove=False), "cpu", threads=1)
    assert "preloaded" not in asked
    assert asked[0][0].intra_op_num_threads == 1


def test_a_cuda_graph_needs_known_sizes(tmp_path: Path, faked: Any) -> None:
    faked([CUDA, CPU])
    with pytest.raises(NoDevice, match="H, W is not known"):
        Predictor(exported(NET, tmp_path, prove=False), "cuda", cuda_graph=True)


# -------------------------------------------------------------------------------------------------------- buffers
def test_fixed_buffers_give_what_a_run_gives(tmp_path: Path) -> None:
    """IO binding, here on the CPU: the same numbers, and copies that the next run leaves alone."""
    predictor = Predictor(exported(NET, tmp_path, prove=False), "cpu")
    random = np.random.default_rng(0)
    first, second = (random.normal(size=(2, 1, 6, 8)).astype(np.float32) for _ in range(2))
    bound = predictor.bound({"image": first})
    assert isinstance(bound, Buffers)
    kept = bound({"image": first})
    later = bound({"image": second})
    for given, found in ((first, kept), (second, later)):
        wanted = predictor.run(given)
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
