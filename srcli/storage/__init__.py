"""Objects in storage elsewhere, by their URLs; nothing else here knows fsspec."""

from srcli.storage.catalogue import forget_objects, look_up, remember, remember_folder
from srcli.storage.drivers import abandon_transfers, begin_transfers, require_driver
from srcli.storage.listing import ListedObject, list_objects, require_bucket
from srcli.storage.objects import (
    StoredObject,
    digest_of,
    download,
    is_folder,
    upload,
)
from srcli.storage.unfinished import abort_uploads, remove_temporaries

__all__ = [
    "ListedObject",
    "StoredObject",
    "abandon_transfers",
    "abort_uploads",
    "begin_transfers",
    "digest_of",
    "download",
    "forget_objects",
    "is_folder",
    "list_objects",
    "look_up",
    "remember",
    "remember_folder",
    "remove_temporaries",
    "require_bucket",
    "require_driver",
    "upload",
]
