"""HBase's tables, snapshots and files, read and written without a cluster and without a JVM."""

import os as _os
from collections.abc import Mapping as _Mapping

from ._hregion import (
    Cell,
    ClosedError,
    CorruptError,
    Error,
    NotFoundError,
    Recovery,
    RegionRecovery,
    Row,
    RowIterator,
    Scan,
    Table,
    UnsupportedError,
    ValueMismatchError,
    __version__,
    _after_fork,
    _before_fork,
    clone_snapshot,
    create,
    delete_snapshot,
    open,
    recover,
    snapshots,
)

__all__ = [
    "Cell",
    "ClosedError",
    "CorruptError",
    "Error",
    "NotFoundError",
    "Recovery",
    "RegionRecovery",
    "Row",
    "RowIterator",
    "Scan",
    "Table",
    "UnsupportedError",
    "ValueMismatchError",
    "__version__",
    "clone_snapshot",
    "create",
    "delete_snapshot",
    "open",
    "recover",
    "snapshots",
]

# A row is accepted wherever a mapping is.
_Mapping.register(Row)

# A forked process has none of the threads that read ahead: they must hold no lock during the fork.
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
