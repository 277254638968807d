"""The folders that a system gives each person for caches and for data.

A machine that is lent for training may lack platformdirs, and needs no more than some place.
"""

from pathlib import Path

__all__ = ["user_cache", "user_config", "user_data"]


def user_cache() -> Path:
    """Where files go that can be had again: `srcli` in the system's place for caches."""
    try:
        from platformdirs import user_cache_path
    except ImportError:
        return Path.home() / ".cache" / "srcli"
    return user_cache_path("srcli", appauthor=False)


def user_data() -> Path:
    """Where a person's own files go: `srcli` in the system's place for data."""
    try:
        from platformdirs import user_data_path
    except ImportError:
        return Path.home() / ".local" / "share" / "srcli"
    return user_data_path("srcli", appauthor=False)


def user_config() -> Path:
    """Where settings go: `srcli` in the system's place for configuration."""
    try:
        from platformdirs import user_config_path
    except ImportError:
        return Path.home() / ".config" / "srcli"
    return user_config_path("srcli")
