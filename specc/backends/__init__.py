"""From a model to PyTorch and to ONNX."""
