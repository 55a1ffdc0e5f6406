"""What runs the network of a separator: PyTorch on any device, or ONNX Runtime on the CPU."""
