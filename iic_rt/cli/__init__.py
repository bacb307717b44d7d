"""The ``iic-rt`` command."""
