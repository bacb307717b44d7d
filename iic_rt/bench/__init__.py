"""``python -m iic_rt.bench``: how long a call takes, where the time goes, and whether the result is right."""
