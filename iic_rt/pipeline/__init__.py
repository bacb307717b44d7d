"""Fills regions: where they are, the loop, guided upsampling, and the way back into the image."""
