"""Record batches as the objects of other packages, which are imported only when they are used."""

from contextlib import contextmanager


def to_batches(scan):
    """Returns a `pyarrow.RecordBatchReader`."""
    import pyarrow

    schema, batches = _read(scan)
    return pyarrow.RecordBatchReader.from_batches(schema, batches)


def to_arrow(scan, progress):
    """Reads all batches into a `pyarrow.Table`."""
    import pyarrow

    schema, batches = _read(scan)
    return pyarrow.Table.from_batches(_shown(batches, progress), schema)


def to_polars(scan, progress):
    """Reads all batches into a `polars.DataFrame`."""
    import polars

    if progress:
        return polars.from_arrow(to_arrow(scan, progress))
    stream = scan._stream()
    with _errors_of(stream):
        return polars.DataFrame(stream)


def _read(scan):
    """Returns the schema, and the batches."""
    import pyarrow

    stream = scan._stream()
    reader = pyarrow.RecordBatchReader.from_stream(stream)

    def batches():
        with _errors_of(stream):
            yield from reader

    return reader.schema, batches()


@contextmanager
def _errors_of(stream):
    """Raises the error that ended a stream instead of that of the package that read it, which has its message."""
    try:
        yield
    except Exception as error:
        failure = stream.failure()
        if failure is None:
            raise
        raise failure from error


def _shown(batches, progress):
    """Yields the batches, and shows how many rows have been read, in a notebook or a terminal."""
    if not progress:
        yield from batches
        return
    from tqdm.auto import tqdm

    with tqdm(unit=" rows", unit_scale=True) as bar:
        for batch in batches:
            bar.update(batch.num_rows)
            yield batch
