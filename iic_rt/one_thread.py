"""How large a matrix product may be that runs on the calling thread.

OpenBLAS, which numpy comes with, takes a thread a core for larger ones. These threads wait for the next product by
spinning, for tens of milliseconds, and take cores from the engine, from OpenCV and from other inpainters meanwhile.
"""

from __future__ import annotations

__all__ = ["MOST_MULTIPLICATIONS"]

MOST_MULTIPLICATIONS = 1 << 18
