"""Engines of TensorRT and TensorRT-RTX: built from a bundle's graphs, kept in a cache, found for a device."""
