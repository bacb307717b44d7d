"""Video: frames, and the masks that go with them."""
