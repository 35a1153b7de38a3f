"""Reading networks that other programs wrote: ONNX and Caffe files become a spec with its weights beside it."""
