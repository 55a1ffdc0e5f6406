"""The mask network of a model as an ONNX file: made once, kept whole, and run without PyTorch."""
