"""Where engines and the plugin are kept on this machine."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "plugin_path"]


def cache_folder() -> Path:
    """``$IIC_RT_CACHE``, or ``~/.cache/iic-rt``; it need not exist."""
    return Path(os.environ.get("IIC_RT_CACHE") or "~/.cache/iic-rt").expanduser()


def plugin_path() -> Path:
    """The plugin library: ``$IIC_RT_PLUGIN``, or ``plugin/libiic_rt_plugin.so`` in the cache folder."""
    named = os.environ.get("IIC_RT_PLUGIN")
    return Path(named).expanduser() if named else cache_folder() / "plugin" / "libiic_rt_plugin.so"
