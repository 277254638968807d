"""Packages that srcli can do without: whether one is installed, and how to install it."""

from importlib.util import find_spec

__all__ = [
    "CLIENT",
    "CLUSTER_HINT",
    "COMMUNITY_HINT",
    "LOCAL",
    "STORAGE_PACKAGES",
    "ray_is_here",
    "spandrel_is_here",
]

LOCAL = "local"
"""The address of a cluster of this machine alone, which ends with the run."""
CLIENT = "ray://"
"""Before HOST:PORT, the address of a cluster that this machine is no node of."""

CLUSTER_HINT = "pip install 'srcli[cluster]' adds Ray"
STORAGE_PACKAGES = {
    "s3": "'srcli[s3]'",
    "s3a": "'srcli[s3]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
}
"""Packages to install for URLs of a protocol; other drivers name theirs."""
COMMUNITY_HINT = "pip install 'srcli[community]' adds spandrel, which runs the community's networks"


def spandrel_is_here() -> bool:
    """Tell if spandrel is installed, without importing it."""
    return find_spec("spandrel") is not None


def ray_is_here() -> bool:
    """Tell if Ray is installed, without importing it."""
    return find_spec("ray") is not None
