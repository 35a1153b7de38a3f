"""Fixed buffers on the device for inputs of one shape (IO binding): filled, run and read without new memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from specc.deploy.providers import CUDA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # by name: the shape with the batch, and numpy's name of the type
_HOST: Final = "cpu"


class Buffers:
    """A session bound to one shape of its inputs.

    On a GPU (`device="cuda"`) the inputs pass through page-locked memory where onnxruntime offers it, and the addresses
    stay the same from run to run, as a CUDA graph needs; `number` tells the graphs of several shapes apart.

    Example:
        Buffers(session, {"x": ((1, 4), "float32")}, {"y": ((1, 3), "float32")})({"x": array})["y"]
    """

    def __init__(
        self, session: Any, inputs: Shapes, outputs: Shapes, device: str = _HOST, gpu: int = 0, number: int = 0
    ) -> None:
        import onnxruntime

        make = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        self._session = session
        self._binding = session.io_binding()
        self._options = onnxruntime.RunOptions()
        if device != _HOST:
            self._options.add_run_config_entry("gpu_graph_id", str(number))
        self._inputs = {name: make(shape, _type(kind), device, gpu) for name, (shape, kind) in inputs.items()}
        self._outputs = {name: make(shape, _type(kind), device, gpu) for name, (shape, kind) in outputs.items()}
        self._staged = _page_locked(inputs, gpu) if device != _HOST else {}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, copies that later runs do not touch."""
        import numpy as np

        for name, array in inputs.items():
            staged = self._staged.get(name)
            if staged is not None:
                np.copyto(staged, array)
            self._inputs[name].update_inplace(array if staged is None else staged)
        self.run()
        return {name: np.array(value.numpy()) for name, value in self._outputs.items()}

    def run(self) -> None:
        """Run on what the buffers hold; the outputs stay on the device."""
        self._session.run_with_iobinding(self._binding, self._options)


def _type(kind: str) -> Any:
    import numpy as np

    return np.dtype(kind).type


def _page_locked(inputs: Shapes, gpu: int) -> dict[str, Array]:
    """Arrays in page-locked memory, from which a GPU copies fastest; none where onnxruntime has no allocator for it."""
    import onnxruntime

    devices = [each for each in onnxruntime.get_ep_devices() if each.ep_name == CUDA]
    if gpu >= len(devices):
        return {}
    memory = devices[gpu].memory_info(onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE)
    if memory is None:
        return {}
    make = onnxruntime.OrtValue.ortvalue_from_shape_and_type
    values = {name: make(shape, _type(kind), memory_info=memory) for name, (shape, kind) in inputs.items()}
    views = {name: value.numpy() for name, value in values.items()}
    return {name: view for name, view in views.items() if view.ctypes.data == values[name].data_ptr()}
