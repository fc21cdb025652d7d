package org.hregion.peers;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.CyclicBarrier;
import java.util.function.IntFunction;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;

/** Timed loops and the lines that they print; the counterpart of src/measure.rs and src/lines.rs. */
final class Bench {
  /** An operation on row i. Returns how many units (gets, rows) it did. */
  interface Op {
    long run(long i) throws IOException;
  }

  final PrintStream out;
  final String variant;
  /** The encoding and codec of the variant. */
  final DataBlockEncoding encoding;
  /** Bytes of a data block. */
  final int block;
  final int n, pass, threads;
  final double secs, warm;
  /** Takes the results of reads, so that reads are not optimised away. */
  static volatile long sink;

  Bench(PrintStream out, String variant, int block, int n, int pass, int threads, double secs, double warm) {
    this.out = out;
    this.variant = variant;
    this.encoding = switch (variant) {
      case "default", "rowcol" -> DataBlockEncoding.NONE;
      case "fast_diff" -> DataBlockEncoding.FAST_DIFF;
      case "row_index" -> DataBlockEncoding.ROW_INDEX_V1;
      default -> throw new IllegalArgumentException("hbase has no variant " + variant);
    };
    this.block = block;
    this.n = n;
    this.pass = pass;
    this.threads = threads;
    this.secs = secs;
    this.warm = warm;
  }

  private static final OperatingSystemMXBean OS =
    (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  /** Measures how many CPUs other processes and the hypervisor use. */
  static final class Noise {
    private final double[] j = jiffies();
    private final double own = OS.getProcessCpuTime() / 1e9;
    private final long at = System.nanoTime();

    private static double[] jiffies() {
      try {
        String[] f = Files.readAllLines(Path.of("/proc/stat")).get(0).trim().split("\\s+");
        double[] x = new double[9];
        for (int i = 1; i < 9; i++) {
          x[i] = Double.parseDouble(f[i]);
        }
        return new double[] { x[1] + x[2] + x[3] + x[6] + x[7], x[8] };
      } catch (IOException | RuntimeException e) {
        return new double[2];
      }
    }

    double cpus() {
      double[] k = jiffies();
      double wall = (System.nanoTime() - at) / 1e9;
      double other = (k[0] - j[0]) / 100 - (OS.getProcessCpuTime() / 1e9 - own);
      return (Math.max(0, other) + (k[1] - j[1]) / 100) / wall;
    }
  }

  /** A histogram of nanoseconds, with 128 buckets for each power of two. */
  static final class Hist {
    private final long[] count = new long[64 * 128];
    private long total;

    private static int bucket(long ns) {
      if (ns < 128) {
        return (int) Math.max(0, ns);
      }
      int e = 63 - Long.numberOfLeadingZeros(ns); // >= 7
      return (e - 6) * 128 + (int) (ns >>> (e - 7)) - 128;
    }

    private static double low(int b) {
      if (b < 128) {
        return b;
      }
      int e = b / 128 + 6;
      return (double) ((long) (b % 128 + 128) << (e - 7));
    }

    void add(long ns) {
      count[bucket(ns)]++;
      total++;
    }

    void add(Hist o) {
      for (int i = 0; i < count.length; i++) {
        count[i] += o.count[i];
      }
      total += o.total;
    }

    double micros(double q) {
      long want = (long) Math.ceil(q * total), seen = 0;
      for (int i = 0; i < count.length; i++) {
        seen += count[i];
        if (seen >= want && seen > 0) {
          return low(i) / 1000;
        }
      }
      return 0;
    }
  }

  static final class Sample {
    double rate, secs, noise;
    /** The rate for a second of the working threads' CPU time; 0 if it is unknown. */
    double cpuRate;
    long ops;
    Hist hist;
  }

  /** One thread, then all. */
  int[] threadCounts() {
    return threads > 1 ? new int[] { 1, threads } : new int[] { 1 };
  }

  interface Draws {
    Rows.Draw of(int thread);
  }

  private static final java.lang.management.ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /** CPU seconds of the calling thread. */
  private static double cpu() {
    return THREADS.getCurrentThreadCpuTime() / 1e9;
  }

  /** Runs operations in threads for `secs` seconds. */
  Sample drive(int threads, double secs, boolean latency, Draws draws, IntFunction<Op> ops)
    throws IOException {
    Sample s = new Sample();
    if (latency) {
      s.hist = new Hist();
    }
    Noise noise = new Noise();
    CyclicBarrier barrier = new CyclicBarrier(threads);
    Throwable[] bad = new Throwable[1];
    Thread[] ts = new Thread[threads];
    for (int t = 0; t < threads; t++) {
      int me = t;
      ts[t] = new Thread(() -> {
        try {
          Op op = ops.apply(me);
          Rows.Draw d = draws.of(me);
          Hist h = latency ? new Hist() : null;
          long count = 0, units = 0;
          barrier.await();
          double cpu = cpu();
          long start = System.nanoTime(), end = start + (long) (secs * 1e9), last = start, now;
          if (latency) {
            do {
              units += op.run(d.next());
              now = System.nanoTime();
              h.add(now - last);
              last = now;
              count++;
            } while (now < end);
          } else {
            do {
              for (int k = 0; k < 8; k++) {
                units += op.run(d.next());
              }
              count += 8;
              now = System.nanoTime();
            } while (now < end);
          }
          double took = (now - start) / 1e9;
          cpu = cpu() - cpu;
          synchronized (s) {
            s.ops += count;
            s.rate += units / took;
            s.cpuRate += units / Math.max(cpu, 1e-9);
            s.secs = Math.max(s.secs, took);
            if (latency) {
              s.hist.add(h);
            }
          }
        } catch (Throwable e) {
          synchronized (bad) {
            bad[0] = e;
          }
          barrier.reset();
        }
      });
      ts[t].start();
    }
    join(ts);
    if (bad[0] != null) {
      throw new IOException("a measuring thread failed", bad[0]);
    }
    s.noise = noise.cpus();
    return s;
  }

  static void join(Thread[] ts) throws IOException {
    try {
      for (Thread t : ts) {
        t.join();
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  /** Warms up; measures the rate without a clock in the loop, then, for half as long, the latency with one. */
  void rate(String workload, int threads, String unit, Draws draws, IntFunction<Op> ops)
    throws IOException {
    // until it gets no faster: the compiler may get little CPU time
    double before = 0;
    for (int round = 0; round < 6; round++) {
      double now = drive(threads, warm, false, draws, ops).cpuRate;
      if (now < before * 1.1) {
        break;
      }
      before = now;
    }
    Sample s = drive(threads, secs, false, draws, ops);
    Sample l = drive(threads, secs / 2, true, draws, ops);
    s.hist = l.hist;
    s.noise = Math.max(s.noise, l.noise);
    put(workload, threads, unit, s.rate, s);
  }

  interface Whole {
    /** Runs once. Returns how many units it did. */
    long run() throws IOException;
  }

  /** Measures full scans and the like: at least once to warm up, then until the time is over. */
  void whole(String workload, String unit, double scale, Whole w) throws IOException {
    long start = System.nanoTime();
    do {
      w.run();
    } while ((System.nanoTime() - start) / 1e9 < warm);
    Sample s = new Sample();
    Noise noise = new Noise();
    double cpu = cpu();
    start = System.nanoTime();
    long units = 0;
    do {
      units += w.run();
      s.ops++;
      s.secs = (System.nanoTime() - start) / 1e9;
    } while (s.secs < secs);
    s.noise = noise.cpus();
    s.cpuRate = units * scale / Math.max(cpu() - cpu, 1e-9);
    put(workload, 1, unit, units * scale / s.secs, s);
  }

  /** Measures an operation that can be run only once. */
  void once(String workload, String unit, double amount, Whole w) throws IOException {
    Sample s = new Sample();
    Noise noise = new Noise();
    long start = System.nanoTime();
    w.run();
    s.secs = (System.nanoTime() - start) / 1e9;
    s.ops = 1;
    s.noise = noise.cpus();
    put(workload, 1, unit, amount / s.secs, s);
  }

  void put(String workload, int threads, String unit, double value, Sample s) {
    StringBuilder b = new StringBuilder("{");
    text(b, "engine", "hbase");
    text(b, "variant", variant);
    text(b, "workload", workload);
    num(b, "threads", threads, 0);
    num(b, "n", n, 0);
    num(b, "pass", pass, 0);
    num(b, "value", value, 3);
    if (s.cpuRate > 0) {
      num(b, "cpu_value", s.cpuRate, 3);
    }
    text(b, "unit", unit);
    num(b, "ops", s.ops, 0);
    num(b, "secs", s.secs, 3);
    num(b, "noise_cpus", s.noise, 3);
    if (s.hist != null) {
      num(b, "p50_us", s.hist.micros(0.5), 3);
      num(b, "p99_us", s.hist.micros(0.99), 3);
      num(b, "p999_us", s.hist.micros(0.999), 3);
    }
    b.setCharAt(b.length() - 1, '}');
    line(b.toString());
    System.err.printf(Locale.ROOT, "   %s %dt: %.1f %s%s%n", workload, threads, value, unit,
      s.hist == null
        ? ""
        : String.format(Locale.ROOT, "  p50 %.2f us p99 %.2f us", s.hist.micros(0.5), s.hist.micros(0.99)));
  }

  void about(String version, String what) {
    StringBuilder b = new StringBuilder("{");
    text(b, "engine", "hbase");
    text(b, "variant", variant);
    num(b, "n", n, 0);
    num(b, "pass", pass, 0);
    text(b, "version", version);
    text(b, "about", what);
    b.setCharAt(b.length() - 1, '}');
    line(b.toString());
  }

  private synchronized void line(String s) {
    out.println(s);
    out.flush();
  }

  private static void text(StringBuilder b, String k, String v) {
    String escaped = v.replace("\\", "\\\\").replace("\"", "\\\"");
    b.append('"').append(k).append("\":\"").append(escaped).append("\",");
  }

  private static void num(StringBuilder b, String k, double v, int digits) {
    String number = String.format(Locale.ROOT, "%." + digits + "f", v);
    b.append('"').append(k).append("\":").append(number).append(',');
  }

  /** Combines a few bytes, so that they have to arrive from memory. */
  static long touch(byte[] b, int off, int len) {
    long x = len == 0 ? 0 : b[off + len - 1] & 0xff;
    if (len >= 8) {
      x ^= (b[off] & 0xffL) << 8 | (b[off + 3] & 0xffL) << 16 | (b[off + 7] & 0xffL) << 24;
    }
    return x;
  }
}
