package hregion.snapshot;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.TableSnapshotScanner;

/** Reads the cells of a snapshot with TableSnapshotScanner, and prints the time and the processor time. */
public final class Scan {
  private static final OperatingSystemMXBean SYSTEM =
    (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private final Configuration conf = HBaseConfiguration.create();
  private final Path root;
  private final String snapshot;
  private long rows;
  private long cells;
  /** A sum over each byte of the values and over the keys, so that all of them are read. */
  private long sum;

  private Scan(String root, String snapshot) {
    conf.set("fs.defaultFS", "file:///");
    conf.set("hbase.rootdir", "file://" + root);
    conf.set("hbase.io.compress.snappy.codec", "org.apache.hadoop.hbase.io.compress.xerial.SnappyCodec");
    conf.set("hbase.io.compress.zstd.codec", "org.apache.hadoop.hbase.io.compress.zstd.ZstdCodec");
    this.root = new Path("file://" + root);
    this.snapshot = snapshot;
  }

  public static void main(String[] args) throws Exception {
    String root = java.nio.file.Path.of(args[0]).toRealPath().toString();
    double warm = args.length > 2 ? Double.parseDouble(args[2]) : 10;
    Scan scan = new Scan(root, args[1]);
    long end = System.nanoTime() + (long) (warm * 1e9);
    while (System.nanoTime() < end) {
      scan.pass(end);
    }
    long start = System.nanoTime();
    long cpu = SYSTEM.getProcessCpuTime();
    scan.pass(Long.MAX_VALUE);
    cpu = SYSTEM.getProcessCpuTime() - cpu;
    double seconds = (System.nanoTime() - start) / 1e9;
    System.out.printf(Locale.ROOT,
      "{\"rows\":%d,\"cells\":%d,\"sum\":%d,\"seconds\":%.3f,\"cpu_seconds\":%.3f}%n", scan.rows, scan.cells,
      scan.sum, seconds, cpu / 1e9);
    System.exit(0);
  }

  /** Reads all cells, or as many as possible until a time. */
  private void pass(long end) throws Exception {
    rows = 0;
    cells = 0;
    sum = 0;
    Path restored = new Path(root.getParent(), "." + root.getName() + ".restored");
    FileSystem files = restored.getFileSystem(conf);
    try (TableSnapshotScanner scanner = new TableSnapshotScanner(conf, root, restored, snapshot,
      new org.apache.hadoop.hbase.client.Scan().setCacheBlocks(false))) {
      for (Result row = scanner.next(); row != null; row = scanner.next()) {
        rows++;
        for (Cell cell : row.rawCells()) {
          cells++;
          sum += cell.getTimestamp() + cell.getRowLength() + cell.getQualifierLength();
          byte[] bytes = cell.getValueArray();
          int from = cell.getValueOffset();
          for (int at = 0; at < cell.getValueLength(); at++) {
            sum += bytes[from + at];
          }
        }
        if ((rows & 1023) == 0 && System.nanoTime() > end) {
          break;
        }
      }
    } finally {
      files.delete(restored, true);
    }
  }
}
