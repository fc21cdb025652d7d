"""Converts record batches to the objects of other packages, which are imported only when they are used."""


def to_batches(scan):
    """Returns a `pyarrow.RecordBatchReader`."""
    import pyarrow

    schema, batches = _read(scan)
    return pyarrow.RecordBatchReader.from_batches(schema, batches)


def to_arrow(scan, progress):
    """Reads all batches into a `pyarrow.Table`."""
    import pyarrow

    schema, batches = _read(scan, progress)
    return pyarrow.Table.from_batches(batches, schema)


def to_polars(scan, progress):
    """Reads all batches into a `polars.DataFrame`."""
    import polars

    stream = scan._stream()
    frames = [polars.DataFrame(batch) for batch in _batches(stream, progress)]
    return polars.concat(frames) if frames else polars.DataFrame(stream.empty())


def _read(scan, progress=False):
    """Returns the schema, and the batches."""
    import pyarrow

    stream, read = scan._stream(), pyarrow.RecordBatchReader.from_stream
    # a generator would end with the first error, as if there were no more batches
    batches = map(lambda batch: read(batch).read_next_batch(), _batches(stream, progress))
    return read(stream.empty()).schema, batches


def _batches(stream, progress):
    """Returns an iterator over the batches, which may show the number of rows read."""
    batches = iter(stream.next, None)
    return _shown(batches) if progress else batches


def _shown(batches):
    """Yields the batches, and shows the number of rows read, in a notebook or a terminal."""
    from tqdm.auto import tqdm

    with tqdm(unit=" rows", unit_scale=True) as bar:
        for batch in batches:
            bar.update(len(batch))
            yield batch
