package org.apache.hadoop.hbase.regionserver;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.KeyValueUtil;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.regionserver.ScannerContext.LimitScope;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * The calls of a client on an open region scanner. The class is in this package because the limits of
 * ScannerContext are visible only here.
 */
public final class ScanCall implements AutoCloseable {
  private final RegionScanner scanner;
  private final Scan scan;
  private int completeRows;
  private byte[] partialRow;
  private boolean more = true;

  public ScanCall(HRegion region, Scan scan) throws IOException {
    this.scan = scan;
    this.scanner = region.getScanner(scan);
  }

  /** With lazy seeks, filters can be given cells that do not exist (HBASE-27691). */
  public static void lazySeek(boolean enable) {
    StoreScanner.enableLazySeekGlobally(enable);
  }

  public boolean hasMore() {
    return more;
  }

  /** Makes one call: returns {@code maxResults} results, or fewer if a limit of the scan is reached. */
  public List<Result> next(int maxResults) throws IOException {
    List<Result> results = new ArrayList<>();
    if (!more) {
      return results;
    }
    ScannerContext limits = limits();
    List<Cell> cells = new ArrayList<>();
    while (results.size() < maxResults) {
      limits.setBatchProgress(0);
      cells.clear();
      more = scanner.nextRaw(cells, limits);
      if (!cells.isEmpty()) {
        byte[] row = CellUtil.cloneRow(cells.get(0));
        if (partialRow != null && !Bytes.equals(partialRow, row) && rowDone()) {
          break;
        }
        boolean partial = limits.mayHaveMoreCellsInRow();
        results.add(Result.create(copy(cells), null, false, partial));
        partialRow = partial ? row : null;
        if (!partial && rowDone()) {
          break;
        }
      } else if (!more && !results.isEmpty()) {
        finishLast(results);
      }
      if (!more || limits.checkSizeLimit(LimitScope.BETWEEN_ROWS)) {
        break;
      }
    }
    if (results.isEmpty() && scanner.isFilterDone()) {
      more = false;
    }
    ((Shipper) scanner).shipped();
    return results;
  }

  /** Counts a complete row. Returns whether the scan's row limit is reached. */
  private boolean rowDone() {
    completeRows++;
    partialRow = null;
    if (scan.getLimit() > 0 && completeRows >= scan.getLimit()) {
      more = false;
      return true;
    }
    return false;
  }

  /** Marks the last result as complete, as no other piece of its row follows. */
  private static void finishLast(List<Result> results) {
    int last = results.size() - 1;
    Result r = results.get(last);
    if (r.mayHaveMoreCellsInRow()) {
      results.set(last, Result.create(r.rawCells(), null, false, false));
    }
  }

  private static List<Cell> copy(List<Cell> cells) throws IOException {
    List<Cell> copies = new ArrayList<>(cells.size());
    for (Cell cell : cells) {
      copies.add(KeyValueUtil.copyToNewKeyValue(cell));
    }
    return copies;
  }

  /** Limits only the size of cell data: heap and block sizes differ between engines. */
  private ScannerContext limits() {
    LimitScope scope =
      scan.getAllowPartialResults() ? LimitScope.BETWEEN_CELLS : LimitScope.BETWEEN_ROWS;
    long size = scan.getMaxResultSize() > 0 ? scan.getMaxResultSize() : Long.MAX_VALUE;
    ScannerContext.Builder b = ScannerContext.newBuilder(true);
    setSizeLimit(b, scope, size);
    b.setBatchLimit(scan.getBatch());
    b.setTimeLimit(LimitScope.BETWEEN_ROWS, -1);
    return b.build();
  }

  /** Sets the limit by reflection: the number of arguments differs between versions. */
  private static void setSizeLimit(ScannerContext.Builder b, LimitScope scope, long size) {
    for (Method m : ScannerContext.Builder.class.getMethods()) {
      if (m.getName().equals("setSizeLimit")) {
        Object[] args = new Object[m.getParameterCount()];
        args[0] = scope;
        args[1] = size;
        for (int i = 2; i < args.length; i++) {
          args[i] = Long.MAX_VALUE;
        }
        try {
          m.invoke(b, args);
          return;
        } catch (IllegalAccessException | InvocationTargetException e) {
          throw new IllegalStateException(e);
        }
      }
    }
    throw new IllegalStateException("no setSizeLimit");
  }

  @Override
  public void close() throws IOException {
    scanner.close();
  }
}
