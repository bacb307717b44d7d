"""Specifications in numpy, which graphs and kernels are compared with. Nothing of it runs in production."""
