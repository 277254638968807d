"""Packages that srcli can do without: whether one is installed, and how to install it."""

from importlib.util import find_spec

__all__ = ["CLUSTER_HINT", "COMMUNITY_HINT", "ray_is_here", "spandrel_is_here"]

CLUSTER_HINT = "pip install 'srcli[cluster]' adds Ray"
COMMUNITY_HINT = "pip install 'srcli[community]' adds spandrel, which runs the community's networks"


def spandrel_is_here() -> bool:
    """Tell if spandrel is installed, without importing it."""
    return find_spec("spandrel") is not None


def ray_is_here() -> bool:
    """Tell if Ray is installed, without importing it."""
    return find_spec("ray") is not None
