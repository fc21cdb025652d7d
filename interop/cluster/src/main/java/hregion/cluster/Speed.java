package hregion.cluster;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.AsyncConnection;
import org.apache.hadoop.hbase.client.AsyncTable;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** Times of reads by HBase's client, and the CPU time of its process. */
final class Speed {
  private final Connection connection;

  Speed(Connection connection) {
    this.connection = connection;
  }

  /** A running stopwatch. */
  private static final class Watch {
    private final OperatingSystemMXBean system =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private final long cpu = system.getProcessCpuTime();
    private final long start = System.nanoTime();

    JsonObject stop(long rows) {
      JsonObject o = new JsonObject();
      o.addProperty("rows", rows);
      o.addProperty("seconds", (System.nanoTime() - start) / 1e9);
      o.addProperty("cpu", (system.getProcessCpuTime() - cpu) / 1e9);
      return o;
    }
  }

  /** Reads all rows of a table. */
  JsonObject scan(TableName name, boolean prefetch) throws IOException {
    Watch watch = new Watch();
    long rows = 0;
    Scan scan = new Scan().setAsyncPrefetch(prefetch);
    try (Table t = connection.getTable(name); ResultScanner s = t.getScanner(scan)) {
      for (Result r = s.next(); r != null; r = s.next()) {
        rows += r.isEmpty() ? 0 : 1;
      }
    }
    return watch.stop(rows);
  }

  /** Gets rows on several threads. */
  JsonObject gets(TableName name, int rows, int gets, int threads) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      Watch watch = new Watch();
      List<Future<Long>> parts = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        int first = thread;
        parts.add(pool.submit(() -> {
          long found = 0;
          try (Table t = connection.getTable(name)) {
            for (int i = first; i < gets; i += threads) {
              found += t.get(new Get(row(i, rows))).isEmpty() ? 0 : 1;
            }
          }
          return found;
        }));
      }
      long found = 0;
      for (Future<Long> part : parts) {
        found += part.get();
      }
      return watch.stop(found);
    } finally {
      pool.shutdownNow();
    }
  }

  /** Gets rows with the asynchronous client, with a constant number of concurrent gets. */
  static JsonObject pipelined(AsyncConnection connection, TableName name, int rows, int gets, int window)
    throws InterruptedException {
    AsyncTable<?> t = connection.getTable(name);
    Semaphore free = new Semaphore(window);
    AtomicLong found = new AtomicLong();
    Watch watch = new Watch();
    for (int i = 0; i < gets; i++) {
      free.acquire();
      t.get(new Get(row(i, rows))).whenComplete((result, error) -> {
        if (error == null && !result.isEmpty()) {
          found.incrementAndGet();
        }
        free.release();
      });
    }
    free.acquire(window);
    return watch.stop(found.get());
  }

  /** The row of a get: neighbors are far apart. */
  private static byte[] row(int i, int rows) {
    return Bytes.toBytes(String.format("row-%07d", (int) (i * 7919L % rows)));
  }
}
