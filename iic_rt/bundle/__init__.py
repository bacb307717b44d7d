"""Bundles: graphs, what they are, and the shapes they are given."""
