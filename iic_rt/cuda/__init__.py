"""CUDA underneath the TensorRT backends."""
