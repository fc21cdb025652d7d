import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar, final, overload

import pandas
import polars
import pyarrow

_T = TypeVar("_T")
_K_co = TypeVar("_K_co", covariant=True)
_V_co = TypeVar("_V_co", covariant=True)
_Bytes = bytes | bytearray | memoryview | str
_Path = str | os.PathLike[str]
_StorageOptions = Mapping[str, str | int | float]

class _Pairs(Protocol[_K_co, _V_co]):
    """A mapping of either type of names: the keys of `Mapping` have one type exactly."""

    def items(self) -> Iterable[tuple[_K_co, _V_co]]: ...

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

__version__: str

class Error(Exception):
    kind: str

class CorruptError(Error): ...
class UnsupportedError(Error): ...
class NotFoundError(Error): ...
class ClosedError(Error): ...
class ValueMismatchError(Error): ...

@final
class Cell:
    @property
    def row(self) -> bytes: ...
    @property
    def family(self) -> bytes: ...
    @property
    def qualifier(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def value(self) -> bytes: ...

@final
class Row:
    @property
    def key(self) -> bytes: ...
    @property
    def cells(self) -> list[Cell]: ...
    def keys(self) -> list[bytes]: ...
    def values(self) -> list[bytes]: ...
    def items(self) -> list[tuple[bytes, bytes]]: ...
    def to_dict(self) -> dict[bytes, bytes]: ...
    @overload
    def get(self, column: _Bytes) -> bytes | None: ...
    @overload
    def get(self, column: _Bytes, default: _T) -> bytes | _T: ...
    def __getitem__(self, column: _Bytes, /) -> bytes: ...
    def __contains__(self, column: _Bytes, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...

@final
class Recovery:
    @property
    def regions(self) -> list[RegionRecovery]: ...
    @property
    def logs(self) -> list[Path]: ...
    @property
    def torn(self) -> list[str]: ...

@final
class RegionRecovery:
    @property
    def table(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def edits(self) -> int: ...
    @property
    def cells(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def flushed(self) -> list[str]: ...
    @property
    def warnings(self) -> list[str]: ...

@final
class RowIterator:
    def __iter__(self) -> RowIterator: ...
    def __next__(self) -> Row: ...

@final
class Scan:
    def __iter__(self) -> RowIterator: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def to_arrow(self, *, progress: bool = False) -> pyarrow.Table: ...
    def to_batches(self) -> pyarrow.RecordBatchReader: ...
    def to_pandas(self, *, progress: bool = False, **options: Any) -> pandas.DataFrame: ...
    def to_polars(self, *, progress: bool = False) -> polars.DataFrame: ...

@final
class Table:
    @property
    def name(self) -> str: ...
    def get(
        self,
        row: _Bytes,
        columns: _Bytes | Iterable[_Bytes] | None = None,
        *,
        versions: int | None = None,
        time_range: tuple[int, int] | None = None,
        filter: _Bytes | None = None,
    ) -> Row | None: ...
    def get_many(
        self,
        rows: Sequence[_Bytes],
        columns: _Bytes | Iterable[_Bytes] | None = None,
        *,
        versions: int | None = None,
        time_range: tuple[int, int] | None = None,
        filter: _Bytes | None = None,
    ) -> list[Row | None]: ...
    def scan(
        self,
        start: _Bytes | None = None,
        stop: _Bytes | None = None,
        *,
        prefix: _Bytes | None = None,
        columns: _Bytes | Iterable[_Bytes] | Mapping[str, str] | None = None,
        row_key: str | None = None,
        mapping: Mapping[str, Any] | str | None = None,
        invalid: str | None = None,
        versions: int | None = None,
        time_range: tuple[int, int] | None = None,
        filter: _Bytes | None = None,
        limit: int | None = None,
        reversed: bool = False,
        raw: bool = False,
        cache_blocks: bool | None = None,
        batch_rows: int = 8192,
        batch_bytes: int = 16_777_216,
    ) -> Scan: ...
    def infer(self, rows: int = 1000) -> str: ...
    def put(
        self,
        row: _Bytes,
        values: _Pairs[_Bytes, _Bytes],
        *,
        timestamp: int | None = None,
        ttl: timedelta | None = None,
        durability: str | None = None,
    ) -> None: ...
    def delete(
        self,
        row: _Bytes,
        columns: _Bytes | Iterable[_Bytes] | None = None,
        *,
        timestamp: int | None = None,
        durability: str | None = None,
    ) -> None: ...
    def increment(
        self, row: _Bytes, column: _Bytes, amount: int = 1, *, durability: str | None = None
    ) -> int: ...
    def append(
        self, row: _Bytes, column: _Bytes, value: _Bytes, *, durability: str | None = None
    ) -> bytes: ...
    def check_and_put(
        self,
        row: _Bytes,
        column: _Bytes,
        expected: _Bytes | None,
        values: _Pairs[_Bytes, _Bytes],
        *,
        timestamp: int | None = None,
        ttl: timedelta | None = None,
        durability: str | None = None,
    ) -> bool: ...
    def check_and_delete(
        self,
        row: _Bytes,
        column: _Bytes,
        expected: _Bytes | None,
        columns: _Bytes | Iterable[_Bytes] | None = None,
        *,
        timestamp: int | None = None,
        durability: str | None = None,
    ) -> bool: ...
    def flush(self) -> None: ...
    def compact(self, *, major: bool = True) -> None: ...
    def regions(self) -> list[tuple[bytes, bytes]]: ...
    def verify(self) -> list[Exception]: ...
    def snapshot(self, name: str) -> None: ...
    def bulk_load(self, directory: _Path) -> tuple[int, list[Path]]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Table: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool: ...

def open(
    path: _Path,
    table: str | None = None,
    *,
    snapshot: str | None = None,
    writable: bool = False,
    cache: int | None = None,
    filter_cache: int | None = None,
    second_tier: tuple[_Path, int] | None = None,
    memstore_bytes: int | None = None,
    zstd_dictionary: bytes | _Path | None = None,
    master_key: bytes | None = None,
    alternate_master_key: bytes | None = None,
    limit_block_bytes: int | None = None,
    limit_memory_bytes: int | None = None,
    limit_row_bytes: int | None = None,
    durability: str | None = None,
    accept_torn_logs: bool = False,
    storage_options: _StorageOptions | None = None,
) -> Table: ...
def create(
    root: _Path,
    table: str,
    families: _Bytes | Iterable[_Bytes] | _Pairs[_Bytes, int],
    *,
    splits: Sequence[_Bytes] = ...,
    cache: int | None = None,
    filter_cache: int | None = None,
    second_tier: tuple[_Path, int] | None = None,
    memstore_bytes: int | None = None,
    master_key: bytes | None = None,
    alternate_master_key: bytes | None = None,
    limit_block_bytes: int | None = None,
    limit_memory_bytes: int | None = None,
    limit_row_bytes: int | None = None,
    durability: str | None = None,
    storage_options: _StorageOptions | None = None,
) -> Table: ...
def clone_snapshot(
    root: _Path,
    snapshot: str,
    table: str,
    *,
    master_key: bytes | None = None,
    alternate_master_key: bytes | None = None,
    storage_options: _StorageOptions | None = None,
) -> None: ...
def delete_snapshot(
    root: _Path, snapshot: str, *, storage_options: _StorageOptions | None = None
) -> None: ...
def recover(
    root: _Path,
    *,
    dry_run: bool = False,
    accept_torn_logs: bool = False,
    master_key: bytes | None = None,
    alternate_master_key: bytes | None = None,
    storage_options: _StorageOptions | None = None,
) -> Recovery: ...
def snapshots(root: _Path, *, storage_options: _StorageOptions | None = None) -> list[str]: ...
