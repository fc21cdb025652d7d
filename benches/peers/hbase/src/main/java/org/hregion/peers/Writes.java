package org.hregion.peers;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import org.apache.hadoop.hbase.client.Durability;
import org.apache.hadoop.hbase.client.Get;

/** Measures single puts in random order into an empty MemStore, with a new region in each round. */
final class Writes {
  private final Bench b;
  private final Path dir;
  private final Set<String> parts;

  Writes(Bench b, Path dir, Set<String> parts) {
    this.b = b;
    this.dir = dir;
    this.parts = parts;
  }

  void run() throws IOException {
    int rows = Math.min(b.n, 1_000_000);
    double warm = Math.max(2, 2 * b.warm);
    if (parts.contains("writes")) {
      b.put("memstore-memory", 1, "B/row", memory(rows), new Bench.Sample());
      inserts(rows, 1, Durability.SKIP_WAL, warm);
    }
    if (parts.contains("logs")) {
      inserts(rows, 1, Durability.SYNC_WAL, warm);
    }
    for (int threads : b.threadCounts()) {
      if (parts.contains("writes")) {
        put("put-nolog", threads, inserts(rows, threads, Durability.SKIP_WAL, b.secs));
      }
      if (parts.contains("logs")) {
        put("put-log-async", threads, inserts(rows, threads, Durability.ASYNC_WAL, b.secs));
        // acknowledged when the operating system has the entry
        put("put-log", threads, inserts(rows, threads, Durability.SYNC_WAL, b.secs));
        put("put-sync", threads, inserts(rows, threads, Durability.FSYNC_WAL, b.secs));
      }
    }
    if (parts.contains("logs")) {
      replay(rows, warm);
      Bench.Sample s = replay(rows, b.secs);
      b.put("replay", 1, "MB/s", s.rate, s);
    }
  }

  /** Splits the log of a region with all rows and opens the region, until the time is over. */
  private Bench.Sample replay(int rows, double secs) throws IOException {
    Bench.Sample all = new Bench.Sample();
    while (all.secs < secs) {
      Path p = dir.resolve("replay");
      Store.delete(p);
      try (Store s = new Store(b, p, 1, 0)) {
        for (long i = 0; i < rows; i++) {
          s.region.put(Regions.put(i, Durability.SYNC_WAL));
        }
        s.crash();
      }
      Bench.Noise noise = new Bench.Noise();
      long start = System.nanoTime();
      Store.splitLogs(p);
      try (Store s = new Store(b, p, 1, 0)) {
        all.secs += (System.nanoTime() - start) / 1e9;
        all.noise = Math.max(all.noise, noise.cpus());
        all.ops += rows;
        for (long i = 0; i < rows; i += Math.max(1, rows / 200)) {
          Get get = new Get(Rows.row(i));
          Regions.check(s.region.get(get).size() == 1, "a row that was replayed");
        }
        s.abandon();
      }
      Store.delete(p);
    }
    all.rate = all.ops * 130 / 1e6 / all.secs;
    return all;
  }

  /** Bytes of the heap for each row of a full MemStore. */
  private double memory(int rows) throws IOException {
    Path p = dir.resolve("memory");
    Store.delete(p);
    long before = used();
    double memory;
    try (Store s = new Store(b, p, 1, 0)) {
      for (long i = 0; i < rows; i++) {
        s.region.put(Regions.put(i, Durability.SKIP_WAL));
      }
      memory = (used() - before) / (double) rows;
      s.abandon();
    }
    Store.delete(p);
    return memory;
  }

  private static long used() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  private void put(String workload, int threads, Bench.Sample s) {
    b.put(workload, threads, "rows/s", s.rate, s);
  }

  /** Inserts all rows repeatedly until the time is over; with FSYNC_WAL, stops exactly then. */
  private Bench.Sample inserts(int rows, int threads, Durability d, double secs) throws IOException {
    boolean synced = d == Durability.FSYNC_WAL;
    Bench.Sample all = new Bench.Sample();
    all.hist = synced ? new Bench.Hist() : null;
    for (int round = 0; all.secs < secs; round++) {
      Path p = dir.resolve("put" + round);
      Store.delete(p);
      double left = secs - all.secs;
      try (Store s = new Store(b, p, 1, 0)) {
        long[] done = new long[threads];
        Throwable[] bad = new Throwable[1];
        CyclicBarrier barrier = new CyclicBarrier(threads + 1);
        Thread[] ts = new Thread[threads];
        for (int t = 0; t < threads; t++) {
          int me = t;
          ts[t] = new Thread(() -> {
            Bench.Hist h = new Bench.Hist();
            try {
              barrier.await();
              long last = System.nanoTime(), end = last + (long) (left * 1e9);
              for (long i = me; i < rows; i += threads) {
                s.region.put(Regions.put(i, d));
                done[me]++;
                if (synced) {
                  long now = System.nanoTime();
                  h.add(now - last);
                  last = now;
                  if (now > end) {
                    break;
                  }
                }
              }
            } catch (Throwable e) {
              synchronized (bad) {
                bad[0] = e;
              }
            }
            if (synced) {
              synchronized (all) {
                all.hist.add(h);
              }
            }
          });
          ts[t].start();
        }
        Bench.Noise noise = new Bench.Noise();
        try {
          barrier.await();
        } catch (Exception e) {
          throw new IOException(e);
        }
        long start = System.nanoTime();
        Bench.join(ts);
        if (d == Durability.ASYNC_WAL) {
          s.wal.sync();
        }
        all.secs += (System.nanoTime() - start) / 1e9;
        all.noise = Math.max(all.noise, noise.cpus());
        if (bad[0] != null) {
          throw new IOException("a writing thread failed", bad[0]);
        }
        for (int t = 0; t < threads; t++) {
          all.ops += done[t];
          for (long k = 0; k < done[t]; k += Math.max(1, done[t] / 200)) {
            Get get = new Get(Rows.row(t + k * threads));
            Regions.check(s.region.get(get).size() == 1, "a row that was inserted");
          }
        }
        s.abandon();
      }
      Store.delete(p);
    }
    all.rate = all.ops / all.secs;
    return all;
  }
}
