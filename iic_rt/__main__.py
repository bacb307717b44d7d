"""``python -m iic_rt``: the ``iic-rt`` command."""

import sys

from iic_rt.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
