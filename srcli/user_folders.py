"""The folders that a system gives each person for caches, data and configuration.

A machine that is lent for training may lack platformdirs; a container may have a user without a
home folder, whose files then go below the folder for temporary files.
"""

import os
import tempfile
from pathlib import Path

__all__ = ["user_cache", "user_config", "user_data"]


def user_cache() -> Path:
    """Folder for files that can be had again: `srcli` in the system's place for caches."""
    try:
        from platformdirs import user_cache_path

        return user_cache_path("srcli", appauthor=False)
    except ImportError:
        return Path.home() / ".cache" / "srcli"
    except RuntimeError:
        return _without_home() / "cache"


def user_data() -> Path:
    """Folder for a person's own files: `srcli` in the system's place for data."""
    try:
        from platformdirs import user_data_path

        return user_data_path("srcli", appauthor=False)
    except ImportError:
        return Path.home() / ".local" / "share" / "srcli"
    except RuntimeError:
        return _without_home() / "data"


def user_config() -> Path:
    """Folder for settings: `srcli` in the system's place for configuration."""
    try:
        from platformdirs import user_config_path

        return user_config_path("srcli")
    except ImportError:
        return Path.home() / ".config" / "srcli"
    except RuntimeError:
        return _without_home() / "config"


def _without_home() -> Path:
    """Folder for a user that the system knows no home of: one for each user id."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"srcli-{user}"
