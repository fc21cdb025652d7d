"""HBase's tables, snapshots and files, read and written without a cluster and without a JVM."""

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

# A row is taken where a mapping is.
_Mapping.register(Row)
