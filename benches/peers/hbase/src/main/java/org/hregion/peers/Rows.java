package org.hregion.peers;

import java.util.Arrays;

/**
 * The data set and the orders of queries: makes the same numbers as src/workload.rs. Row i is a function of i
 * only.
 */
final class Rows {
  static final int ROW = 16, VAL = 100;
  /** The bytes of a row that MB/s counts: a store key of 30 bytes and the value. */
  static final int LOGICAL = 30 + VAL;
  static final byte[] FAMILY = { 'c', 'f' };
  static final byte[] QUALIFIER = { 'q', 'u', 'a', 'l' };
  static final long TIMESTAMP = 1_700_000_000_000L;

  /** Columns of a wide row, and puts of a versioned row. */
  static final int COLUMNS = 10, VERSIONS = 10;

  private Rows() {
  }

  /** The last step of splitmix64. */
  static long mix(long i) {
    long z = i + 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  static byte[] row(long i) {
    byte[] r = new byte[ROW];
    putLong(r, 0, mix(i));
    putLong(r, 8, mix(i ^ 0xA5A50F0F3C3C9999L));
    return r;
  }

  private static final byte[] HEX = "0123456789abcdef".getBytes();

  /** The rows of files that are read without a region: mix(i) as 16 hexadecimal digits. */
  static byte[] textRow(long i) {
    byte[] r = new byte[ROW];
    long m = mix(i);
    for (int k = 0; k < ROW; k++) {
      r[k] = HEX[(int) (m >>> (60 - 4 * k)) & 15];
    }
    return r;
  }

  static void putLong(byte[] b, int at, long v) {
    for (int k = 7; k >= 0; k--) {
      b[at + k] = (byte) v;
      v >>>= 8;
    }
  }

  static byte[] value(long i) {
    byte[] v = new byte[VAL];
    long s = mix(i ^ 0x5DEECE66D1CE4E5BL);
    for (int at = 0; at < 50; at += 8) {
      s = mix(s);
      long x = s;
      for (int k = at; k < Math.min(50, at + 8); k++) {
        v[k] = (byte) x;
        x >>>= 8;
      }
    }
    System.arraycopy(v, 0, v, 50, 50);
    return v;
  }

  /** Returns the names qu00 to qu09. */
  static byte[] wideQualifier(int c) {
    return new byte[] { 'q', 'u', (byte) ('0' + c / 10), (byte) ('0' + c % 10) };
  }

  static final byte[][] WIDE = new byte[COLUMNS][];
  static {
    for (int c = 0; c < COLUMNS; c++) {
      WIDE[c] = wideQualifier(c);
    }
  }

  /** The run (0 to 4) that contains cell i. */
  static int runOf(long i) {
    return (int) Long.remainderUnsigned(mix(i ^ 0x00C0FFEE00000005L), 5);
  }

  /** The indexes 0..n in the order of keys. */
  static int[] order(int n) {
    long[] m = new long[n];
    for (int i = 0; i < n; i++) {
      m[i] = mix(i) + Long.MIN_VALUE; // unsigned order
    }
    long[] sorted = m.clone();
    Arrays.sort(sorted);
    int[] at = new int[n];
    for (int i = 0; i < n; i++) {
      at[Arrays.binarySearch(sorted, m[i])] = i;
    }
    return at;
  }

  /** xoshiro256**. */
  static final class Rng {
    private long a, b, c, d;

    Rng(long seed) {
      a = mix(seed);
      b = mix(seed + 1);
      c = mix(seed + 2);
      d = mix(seed + 3);
    }

    long next() {
      long r = Long.rotateLeft(b * 5, 7) * 9;
      long t = b << 17;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= t;
      d = Long.rotateLeft(d, 45);
      return r;
    }

    long below(long n) {
      long x = next();
      long hi = Math.multiplyHigh(x, n);
      return x < 0 ? hi + n : hi; // the unsigned high half
    }

    double unit() {
      return (next() >>> 11) / (double) (1L << 53);
    }
  }

  /** Draws from YCSB's Zipf distribution over 0..n. The rank is the row's index. */
  static int[] zipf(int n, double theta, long seed, int draws) {
    double zetan = 0;
    for (int i = 1; i <= n; i++) {
      zetan += 1 / Math.pow(i, theta);
    }
    double zeta2 = 1 + 1 / Math.pow(2, theta);
    double alpha = 1 / (1 - theta);
    double eta = (1 - Math.pow(2.0 / n, 1 - theta)) / (1 - zeta2 / zetan);
    Rng rng = new Rng(seed);
    int[] out = new int[draws];
    for (int k = 0; k < draws; k++) {
      double u = rng.unit(), uz = u * zetan;
      if (uz < 1) {
        out[k] = 0;
      } else if (uz < 1 + Math.pow(0.5, theta)) {
        out[k] = 1;
      } else {
        out[k] = (int) Math.min((long) (n * Math.pow(eta * u - eta + 1, alpha)), n - 1L);
      }
    }
    return out;
  }

  /** The source of the row indexes of a measurement. */
  interface Draw {
    long next();
  }

  static Draw uniform(long n, int thread, int pass) {
    Rng rng = new Rng(1000 + thread + 17L * pass);
    return () -> rng.below(n);
  }

  static Draw missing(long n, int thread, int pass) {
    Rng rng = new Rng(2000 + thread + 17L * pass);
    return () -> n + rng.below(n);
  }

  static Draw table(int[] t, int thread) {
    int[] at = { (t.length / 2 * thread) % t.length };
    return () -> {
      int i = t[at[0]];
      at[0] = at[0] + 1 == t.length ? 0 : at[0] + 1;
      return i;
    };
  }
}
