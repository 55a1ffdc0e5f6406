"""Two ways to run a network on chunks: PyTorch on any device, and ONNX Runtime on the CPU without PyTorch."""
