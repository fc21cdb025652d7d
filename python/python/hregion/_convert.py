"""Record batches as the objects of other packages, which are imported only when they are used."""


def to_batches(scan):
    """Returns a `pyarrow.RecordBatchReader`."""
    import pyarrow

    return pyarrow.RecordBatchReader.from_stream(scan)


def to_arrow(scan, progress):
    """Reads all batches into a `pyarrow.Table`."""
    import pyarrow

    reader = to_batches(scan)
    return pyarrow.Table.from_batches(_shown(reader, progress), reader.schema)


def to_polars(scan, progress):
    """Reads all batches into a `polars.DataFrame`."""
    import polars

    if not progress:
        return polars.DataFrame(scan)
    return polars.from_arrow(to_arrow(scan, progress))


def _shown(reader, progress):
    """Yields the batches, and shows how many rows have been read, in a notebook or a terminal."""
    if not progress:
        yield from reader
        return
    from tqdm.auto import tqdm

    with tqdm(unit=" rows", unit_scale=True) as bar:
        for batch in reader:
            bar.update(batch.num_rows)
            yield batch
