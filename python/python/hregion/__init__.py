"""HBase's tables, snapshots and files, read and written without a cluster and without a JVM."""

from ._hregion import (
    Cell,
    ClosedError,
    CorruptError,
    Error,
    NotFoundError,
    Row,
    RowIterator,
    Scan,
    Table,
    UnsupportedError,
    ValueMismatchError,
    __version__,
    create,
    open,
    snapshots,
)

__all__ = [
    "Cell",
    "ClosedError",
    "CorruptError",
    "Error",
    "NotFoundError",
    "Row",
    "RowIterator",
    "Scan",
    "Table",
    "UnsupportedError",
    "ValueMismatchError",
    "__version__",
    "create",
    "open",
    "snapshots",
]
