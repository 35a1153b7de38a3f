"""specc: a compiler for neural networks, from a .net file to checked sizes, PyTorch and ONNX."""

__version__ = "0.1.0"
