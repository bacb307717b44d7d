"""Trained weights to a bundle of ONNX graphs, and the report that the graphs compute what the paper says."""
