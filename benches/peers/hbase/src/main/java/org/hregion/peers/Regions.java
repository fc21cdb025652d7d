package org.hregion.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Durability;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.filter.SingleColumnValueFilter;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.RegionScanner;
import org.apache.hadoop.hbase.regionserver.Shipper;
import org.apache.hadoop.hbase.util.VersionInfo;

/** Measures the reads of an HRegion, flush and compaction. */
final class Regions {
  static final String VERSION = VersionInfo.getVersion().replace("-hadoop3", "");

  private final Bench b;
  private final Path dir;
  private final Set<String> parts;
  private final double jit;
  private final double coldPercent;
  private final int n;
  private final int[] order;
  private boolean compiled;

  Regions(Bench b, Path dir, Set<String> parts, double jit, double coldPercent) {
    this.b = b;
    this.dir = dir;
    this.parts = parts;
    this.jit = jit;
    this.coldPercent = coldPercent;
    this.n = b.n;
    this.order = Rows.order(n);
  }

  static Put put(long i, Durability d) {
    Put p = new Put(Rows.row(i));
    p.addColumn(Rows.FAMILY, Rows.QUALIFIER, Rows.TIMESTAMP, Rows.value(i));
    return p.setDurability(d);
  }

  /** Reads a named column of a row. */
  static Bench.Op get(HRegion r) {
    return i -> {
      Result x = r.get(new Get(Rows.row(i)).addColumn(Rows.FAMILY, Rows.QUALIFIER));
      Cell[] c = x.rawCells();
      if (c.length != 1) {
        throw new IOException("row " + i + ": " + c.length + " cells");
      }
      Bench.sink += Cells.value(c[0]);
      return 1;
    };
  }

  static Bench.Op getMissing(HRegion r) {
    return i -> {
      if (!r.get(new Get(Rows.row(i)).addColumn(Rows.FAMILY, Rows.QUALIFIER)).isEmpty()) {
        throw new IOException("row " + i + " should not be there");
      }
      return 1;
    };
  }

  /** Reads a row without naming a column. It must have that many cells. */
  static Bench.Op getRow(HRegion r, int cells) {
    return i -> {
      Cell[] c = r.get(new Get(Rows.row(i))).rawCells();
      if (c.length != cells) {
        throw new IOException("row " + i + ": " + c.length + " cells");
      }
      long x = 0;
      for (Cell y : c) {
        x ^= Cells.value(y);
      }
      Bench.sink += x;
      return 1;
    };
  }

  static Bench.Op getColumn(HRegion r) {
    return i -> {
      Result x = r.get(new Get(Rows.row(i)).addColumn(Rows.FAMILY, Rows.WIDE[(int) (i % Rows.COLUMNS)]));
      Cell[] c = x.rawCells();
      if (c.length != 1) {
        throw new IOException("row " + i + ": " + c.length + " cells");
      }
      Bench.sink += Cells.value(c[0]);
      return 1;
    };
  }

  static Bench.Op getVersions(HRegion r, int versions, int cells) {
    return i -> {
      Get get = new Get(Rows.row(i)).addColumn(Rows.FAMILY, Rows.QUALIFIER).readVersions(versions);
      Cell[] c = r.get(get).rawCells();
      if (c.length != cells) {
        throw new IOException("row " + i + ": " + c.length + " versions");
      }
      long x = 0;
      for (Cell y : c) {
        x ^= Cells.value(y);
      }
      Bench.sink += x;
      return 1;
    };
  }

  /** Opens a scanner at the row and reads 100 rows. */
  static Bench.Op scan100(HRegion r) {
    List<Cell> cells = new ArrayList<>();
    return i -> {
      long rows = 0, x = 0;
      try (RegionScanner s = r.getScanner(new Scan().withStartRow(Rows.row(i)))) {
        boolean more = true;
        while (more && rows < 100) {
          cells.clear();
          more = s.nextRaw(cells);
          for (Cell c : cells) {
            x ^= Cells.rowAndValue(c);
          }
          rows += cells.isEmpty() ? 0 : 1;
        }
      }
      Bench.sink += x;
      return rows;
    };
  }

  interface Visit {
    void cells(List<Cell> row) throws IOException;
  }

  static long scan(HRegion r, Scan scan, Visit v) throws IOException {
    List<Cell> cells = new ArrayList<>();
    long rows = 0, calls = 0;
    try (RegionScanner s = r.getScanner(scan)) {
      boolean more = true;
      while (more) {
        cells.clear();
        more = s.nextRaw(cells);
        if (!cells.isEmpty()) {
          rows++;
          v.cells(cells);
        }
        // as at the end of an RPC of about a megabyte; the scanner changes to streaming reads then
        if ((++calls & 8191) == 0) {
          ((Shipper) s).shipped();
        }
      }
    }
    return rows;
  }

  /** A reversed scan seeks for each row. It takes so long that a part of the region is enough. */
  static final int REVERSED = 200_000;

  Bench.Whole reversed(HRegion r) {
    return () -> {
      long rows = 0, x = 0, want = Math.min(n, REVERSED);
      List<Cell> cells = new ArrayList<>();
      try (RegionScanner s = r.getScanner(new Scan().setReversed(true))) {
        boolean more = true;
        while (more && rows < want) {
          cells.clear();
          more = s.nextRaw(cells);
          for (Cell c : cells) {
            x ^= Cells.rowAndValue(c);
          }
          rows += cells.isEmpty() ? 0 : 1;
          if ((rows & 8191) == 0) {
            ((Shipper) s).shipped();
          }
        }
      }
      check(rows == want, "reversed scan: " + rows);
      Bench.sink += x;
      return rows;
    };
  }

  static Bench.Whole full(HRegion r, Scan scan, long want, long counted) {
    return () -> {
      long[] x = new long[1];
      long rows = scan(r, scan, cells -> {
        for (Cell c : cells) {
          x[0] ^= Cells.rowAndValue(c);
        }
      });
      if (rows != want) {
        throw new IOException("a full scan saw " + rows + " rows of " + want);
      }
      Bench.sink += x[0];
      return counted;
    };
  }

  /** The first byte of a value is uniform, so 10 % of the rows pass. */
  static final byte[] BELOW = { 26 };

  static Scan filtered() {
    return new Scan().setFilter(
      new SingleColumnValueFilter(Rows.FAMILY, Rows.QUALIFIER, CompareOperator.LESS, BELOW));
  }

  long passing() {
    long k = 0;
    for (int i = 0; i < n; i++) {
      if ((Rows.value(i)[0] & 0xff) < 26) {
        k++;
      }
    }
    return k;
  }

  /** Compares the content of a region with the written rows. */
  void verify(HRegion r) throws IOException {
    Rows.Rng rng = new Rows.Rng(42);
    for (int k = 0; k < Math.min(n, 5000); k++) {
      long i = rng.below(n);
      Result x = r.get(new Get(Rows.row(i)));
      check(Arrays.equals(x.getValue(Rows.FAMILY, Rows.QUALIFIER), Rows.value(i)), "get of row " + i);
      check(r.get(new Get(Rows.row(n + i))).isEmpty(), "missing row " + (n + i));
    }
    int[] at = { 0 };
    long got = scan(r, new Scan(), cells -> {
      long i = order[at[0]++];
      check(cells.size() == 1 && CellUtil.matchingRows(cells.get(0), Rows.row(i))
        && CellUtil.matchingValue(cells.get(0), Rows.value(i)), "forward scan at " + at[0]);
    });
    check(got == n, "forward scan: " + got);
    List<Cell> cells = new ArrayList<>();
    try (RegionScanner back = r.getScanner(new Scan().setReversed(true))) {
      for (int k = n - 1; k >= Math.max(0, n - 50_000); k--) {
        cells.clear();
        back.nextRaw(cells);
        check(cells.size() == 1 && CellUtil.matchingRows(cells.get(0), Rows.row(order[k])),
          "reverse scan at " + k);
      }
    }
  }

  static void check(boolean ok, String what) throws IOException {
    if (!ok) {
      throw new IOException("wrong answer: " + what);
    }
  }

  long logical() {
    return (long) n * Rows.LOGICAL;
  }

  long roomy() {
    return logical() * 3 + (256L << 20);
  }

  /** Writes four files that overlap and a MemStore, each with a random fifth of the rows. */
  void fill(Store s) throws IOException {
    for (int run = 0; run < 5; run++) {
      for (int i = 0; i < n; i++) {
        if (Rows.runOf(i) == run) {
          s.region.put(put(i, Durability.SKIP_WAL));
        }
      }
      if (run < 4) {
        s.flush();
      }
    }
    check(s.files() == 4, "files: " + s.files());
  }

  void run() throws IOException {
    b.about(VERSION, "HBase " + VERSION + " on Java " + Runtime.version() + ", one process, no RPC; "
      + "LruBlockCache, ROW Bloom filters (variant rowcol: ROWCOL), encoding " + b.encoding);
    if (parts.contains("writes") || parts.contains("logs")) {
      new Writes(b, dir, parts).run();
    }
    if (parts.contains("runs5") || parts.contains("hot") || parts.contains("cold")) {
      narrow();
    }
    if (parts.contains("wide")) {
      wide();
    }
    if (parts.contains("versions")) {
      versions();
    }
  }

  /** Runs every kind of read repeatedly, so that all of it is compiled before it is measured. */
  private void compileReads(HRegion r) throws IOException {
    long end = System.nanoTime() + (long) ((compiled ? jit / 4 : jit) * 1e9);
    compiled = true;
    Bench.Op[] ops = { get(r), getMissing(r), getRow(r, 1), scan100(r) };
    Rows.Rng rng = new Rows.Rng(7);
    while (System.nanoTime() < end) {
      for (Bench.Op op : ops) {
        for (int k = 0; k < (op == ops[3] ? 200 : 2000); k++) {
          op.run(op == ops[1] ? n + rng.below(n) : rng.below(n));
        }
      }
      int[] left = { 20_000 };
      for (Scan s : new Scan[] { new Scan(), new Scan().setReversed(true), filtered() }) {
        left[0] = 20_000;
        try (RegionScanner x = r.getScanner(s)) {
          List<Cell> cells = new ArrayList<>();
          while (left[0]-- > 0 && x.nextRaw(cells)) {
            cells.clear();
          }
        }
      }
    }
  }

  private void narrow() throws IOException {
    Path d = dir.resolve("narrow");
    Bench.Draws uniform = t -> Rows.uniform(n, t, b.pass), missing = t -> Rows.missing(n, t, b.pass);
    if (parts.contains("runs5")) {
      // flush and compaction are measured once, so another region gets them compiled
      Path w = dir.resolve("warm");
      Store.delete(w);
      try (Store s = new Store(b, w, 1, roomy())) {
        fill(s);
        s.flush();
        s.compact();
      }
      Store.delete(w);
    }
    Store.delete(d);
    try (Store s = new Store(b, d, 1, roomy())) {
      fill(s);
      verify(s.region);
      if (parts.contains("runs5")) {
        HRegion r = s.region;
        compileReads(r);
        for (int threads : b.threadCounts()) {
          b.rate("get-5runs", threads, "gets/s", uniform, t -> get(r));
        }
        b.rate("get-missing-5runs", 1, "gets/s", missing, t -> getMissing(r));
        b.rate("get-row-5runs", 1, "gets/s", uniform, t -> getRow(r, 1));
        b.rate("scan100-5runs", 1, "rows/s", uniform, t -> scan100(r));
        b.whole("scan-5runs", "rows/s", 1, full(r, new Scan(), n, n));
        b.whole("scan-reverse-5runs", "rows/s", 1, reversed(r));
        b.once("flush", "MB/s", logical() / 5e6, () -> {
          s.flush();
          return 1;
        });
        b.once("compact", "MB/s", logical() / 1e6, () -> {
          s.compact();
          return 1;
        });
      } else {
        s.flush();
        s.compact();
      }
    }
    int[] zipf = Rows.zipf(n, 0.99, 3000 + b.pass, 1 << 20);
    Bench.Draws hot = t -> Rows.table(zipf, t);
    for (boolean cold : new boolean[] { false, true }) {
      if (!parts.contains(cold ? "cold" : "hot")) {
        continue;
      }
      String sfx = cold ? "-cold" : "-hot";
      if (cold) {
        compiled = false; // reads of blocks from files use different code
        Store.warmPageCache(d);
      }
      long coldCache = Math.max((long) (logical() * coldPercent / 100), 8 << 20);
      try (Store s = new Store(b, d, 1, cold ? coldCache : roomy())) {
        HRegion r = s.region;
        check(s.files() == 1, "files after compaction: " + s.files());
        verify(r);
        compileReads(r);
        for (int threads : b.threadCounts()) {
          b.rate("get" + sfx, threads, "gets/s", uniform, t -> get(r));
          b.rate("get-zipf" + sfx, threads, "gets/s", hot, t -> get(r));
        }
        b.rate("get-missing" + sfx, 1, "gets/s", missing, t -> getMissing(r));
        if (!cold) {
          b.rate("get-row" + sfx, 1, "gets/s", uniform, t -> getRow(r, 1));
        }
        b.rate("scan100" + sfx, 1, "rows/s", uniform, t -> scan100(r));
        b.whole("scan" + sfx, "rows/s", 1, full(r, new Scan(), n, n));
        b.whole("scan-reverse" + sfx, "rows/s", 1, reversed(r));
        if (!cold) {
          b.whole("scan-filter" + sfx, "rows/s", 1,
            full(r, filtered(), passing(), n));
        }
      }
    }
    Store.delete(d);
  }

  /** Rows of ten columns, their cells spread over four files and the MemStore. */
  private void wide() throws IOException {
    int rows = Math.max(1, n / Rows.COLUMNS);
    Path d = dir.resolve("wide");
    Store.delete(d);
    try (Store s = new Store(b, d, 1, roomy())) {
      for (int run = 0; run < 5; run++) {
        for (long i = 0; i < rows; i++) {
          Put p = null;
          for (int c = 0; c < Rows.COLUMNS; c++) {
            long cell = i * Rows.COLUMNS + c;
            if (Rows.runOf(cell) == run) {
              p = p == null ? new Put(Rows.row(i)).setDurability(Durability.SKIP_WAL) : p;
              p.addColumn(Rows.FAMILY, Rows.WIDE[c], Rows.TIMESTAMP, Rows.value(cell));
            }
          }
          if (p != null) {
            s.region.put(p);
          }
        }
        if (run < 4) {
          s.flush();
        }
      }
      reads(s.region, rows, "-5runs");
      s.flush();
      s.compact();
      reads(s.region, rows, "-hot");
    }
    Store.delete(d);
  }

  private void reads(HRegion r, int rows, String sfx) throws IOException {
    Rows.Rng rng = new Rows.Rng(42);
    for (int k = 0; k < 2000; k++) {
      long i = rng.below(rows);
      Result x = r.get(new Get(Rows.row(i)));
      check(x.size() == Rows.COLUMNS, "columns of row " + i);
      for (int c = 0; c < Rows.COLUMNS; c++) {
        byte[] want = Rows.value(i * Rows.COLUMNS + c);
        check(Arrays.equals(x.getValue(Rows.FAMILY, Rows.WIDE[c]), want), "wide row " + i);
      }
    }
    Bench.Draws uniform = t -> Rows.uniform(rows, t, b.pass);
    b.drive(1, compiled ? jit / 4 : jit, false, uniform, t -> getRow(r, Rows.COLUMNS));
    compiled = true;
    b.rate("wide-row" + sfx, 1, "gets/s", uniform, t -> getRow(r, Rows.COLUMNS));
    b.rate("wide-column" + sfx, 1, "gets/s", uniform, t -> getColumn(r));
    b.whole("wide-scan" + sfx, "rows/s", 1, full(r, new Scan(), rows, rows));
  }

  /** Versions that the markers leave visible. */
  static final int VISIBLE = 5;

  /**
   * Rows of one column with ten versions T, T-1, ..., T-9, a Delete of T-2 and a DeleteColumn of T-6, spread
   * over four files and the MemStore. Visible are T, T-1, T-3, T-4 and T-5.
   */
  private void versions() throws IOException {
    int rows = Math.max(1, n / 12);
    Path d = dir.resolve("versions");
    Store.delete(d);
    try (Store s = new Store(b, d, 100, roomy())) {
      for (int run = 0; run < 5; run++) {
        for (long i = 0; i < rows; i++) {
          Put p = null;
          for (int v = 0; v < 12; v++) {
            long cell = i * 12 + v;
            if (Rows.runOf(cell) != run) {
              continue;
            }
            if (v < Rows.VERSIONS) {
              p = p == null ? new Put(Rows.row(i)).setDurability(Durability.SKIP_WAL) : p;
              p.addColumn(Rows.FAMILY, Rows.QUALIFIER, Rows.TIMESTAMP - v, Rows.value(cell));
            } else {
              Delete x = new Delete(Rows.row(i)).setDurability(Durability.SKIP_WAL);
              if (v == 10) {
                x.addColumn(Rows.FAMILY, Rows.QUALIFIER, Rows.TIMESTAMP - 2);
              } else {
                x.addColumns(Rows.FAMILY, Rows.QUALIFIER, Rows.TIMESTAMP - 6);
              }
              s.region.delete(x);
            }
          }
          if (p != null) {
            s.region.put(p);
          }
        }
        if (run < 4) {
          s.flush();
        }
      }
      HRegion r = s.region;
      Rows.Rng rng = new Rows.Rng(42);
      int[] left = { 0, 1, 3, 4, 5 };
      for (int k = 0; k < 2000; k++) {
        long i = rng.below(rows);
        Cell[] c = r.get(new Get(Rows.row(i)).readVersions(10)).rawCells();
        check(c.length == VISIBLE, "versions of row " + i + ": " + c.length);
        for (int v = 0; v < VISIBLE; v++) {
          check(c[v].getTimestamp() == Rows.TIMESTAMP - left[v]
            && CellUtil.matchingValue(c[v], Rows.value(i * 12 + left[v])), "version of row " + i);
        }
      }
      Bench.Draws uniform = t -> Rows.uniform(rows, t, b.pass);
      b.drive(1, compiled ? jit / 4 : jit, false, uniform, t -> getVersions(r, 10, VISIBLE));
      b.rate("versions-5runs", 1, "gets/s", uniform,
        t -> getVersions(r, 10, VISIBLE));
      compiled = true;
      b.rate("newest-5runs", 1, "gets/s", uniform, t -> getVersions(r, 1, 1));
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    Store.delete(d);
  }
}
