"""Converts record batches to the objects of other packages, which are imported only when they are used."""


def to_batches(scan):
    """Returns a `pyarrow.RecordBatchReader`."""
    import pyarrow

    # a generator would end with the first error, as if there were no more batches
    stream = scan._stream(_record_batch)
    return pyarrow.RecordBatchReader.from_batches(_schema(stream), stream)


def to_arrow(scan, progress):
    """Reads all batches into a `pyarrow.Table`."""
    import pyarrow

    stream = scan._stream(_record_batch)
    return pyarrow.Table.from_batches(_read_all(stream, progress), _schema(stream))


def to_polars(scan, progress):
    """Reads all batches into a `polars.DataFrame`."""
    import polars

    stream = scan._stream(polars.DataFrame)
    frames = _read_all(stream, progress)
    return polars.concat(frames) if frames else polars.DataFrame(stream.empty())


def _record_batch(batch):
    """Returns a `pyarrow.RecordBatch`."""
    import pyarrow

    return pyarrow.RecordBatchReader.from_stream(batch).read_next_batch()


def _schema(stream):
    """Returns the schema of all batches."""
    import pyarrow

    return pyarrow.RecordBatchReader.from_stream(stream.empty()).schema


def _read_all(stream, progress):
    """Returns all batches. May show the number of rows read, in a notebook or a terminal."""
    if not progress:
        return list(stream)
    from tqdm.auto import tqdm

    batches = []
    with tqdm(unit=" rows", unit_scale=True) as bar:
        for batch in stream:
            batches.append(batch)
            bar.update(len(batch))
    return batches
