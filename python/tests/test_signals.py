"""Signals, such as the one of Ctrl-C, are handled during long calls."""

import pathlib
import signal
import time

import hregion
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2] / "testdata" / "region" / "split-references" / "root"
# Takes long for each row, and passes none.
SLOW = " OR ".join(["RowFilter(=, 'binary:none')"] * 20_000)


class Stop(Exception):
    pass


def stop(number, frame):
    raise Stop


def test_a_handler_ends_the_search_for_a_row():
    table = hregion.open(ROOT, "halves")
    last = [row.key for row in table.scan()][-1]
    rows = iter(table.scan(filter=f"{SLOW} OR RowFilter(=, 'binary:{last.decode()}')"))
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(Stop):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            next(rows)
    finally:
        signal.signal(signal.SIGALRM, before)
    # a search that was done first would have found it
    assert [row.key for row in rows] == [last]


def test_a_handler_does_not_read_on_in_the_scan_that_it_interrupts():
    table = hregion.open(ROOT, "halves")
    first = [row.key for row in table.scan(limit=1)]
    rows, others = iter(table.scan(filter=SLOW)), iter(table.scan(limit=1))
    read = []

    def handler(number, frame):
        read.extend(row.key for row in others)
        next(rows)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(ValueError, match="reads it already"):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            next(rows)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # another scan can be read
    assert read == first
    assert list(rows) == []


READERS = ["to_arrow", "to_pandas", "to_polars", "to_batches"]


@pytest.mark.parametrize("reader", READERS)
def test_a_handler_ends_what_reads_record_batches(reader):
    # no row is found, so no batch is complete
    scan = hregion.open(ROOT, "halves").scan(filter=SLOW)
    before = signal.signal(signal.SIGALRM, stop)
    began = time.monotonic()
    try:
        with pytest.raises(Stop):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            read = getattr(scan, reader)()
            list(read)
        taken = time.monotonic() - began
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    began = time.monotonic()
    assert list(scan) == []
    assert taken < (time.monotonic() - began) / 2
