package org.hregion.peers;

import java.io.DataInput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.fs.HFileSystem;
import org.apache.hadoop.hbase.io.compress.Compression.Algorithm;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileContext;
import org.apache.hadoop.hbase.io.hfile.HFileContextBuilder;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;
import org.apache.hadoop.hbase.io.hfile.LruBlockCache;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.regionserver.StoreFileWriter;
import org.apache.hadoop.hbase.util.BloomFilter;
import org.apache.hadoop.hbase.util.BloomFilterFactory;

/**
 * Measures files without a region: write, seek, scan. Rows are text (Rows.textRow); sequence ids are 0, as in
 * a file that was bulk-loaded.
 */
final class HFiles {
  private static final DataBlockEncoding[] ENCODINGS =
    { DataBlockEncoding.NONE, DataBlockEncoding.FAST_DIFF, DataBlockEncoding.ROW_INDEX_V1 };

  private static final Algorithm[] CODECS = { Algorithm.ZSTD, Algorithm.LZ4, Algorithm.SNAPPY, Algorithm.GZ };

  private final Bench b;
  private final Path dir;
  private final double jit;
  private final int n;
  private final int[] order;
  private final Configuration conf;
  private final FileSystem fs;

  HFiles(Bench b, Path dir, double jit) throws IOException {
    this.b = b;
    this.dir = dir.resolve("files");
    this.jit = jit;
    n = b.n;
    order = Rows.order(n);
    Files.createDirectories(this.dir);
    conf = Store.conf(dir);
    String codecs = "org.apache.hadoop.hbase.io.compress.";
    conf.set("hbase.io.compress.zstd.codec", codecs + "zstd.ZstdCodec");
    conf.set("hbase.io.compress.lz4.codec", codecs + "lz4.Lz4Codec");
    conf.set("hbase.io.compress.snappy.codec", codecs + "xerial.SnappyCodec");
    for (Algorithm codec : CODECS) {
      codec.reload(conf); // the process keeps the codecs of its first configuration
    }
    fs = new HFileSystem(conf, true); // as on a server: HBase's checksums, none below
  }

  /** Measures the write of a file as the region would write it. */
  void bulk() throws IOException {
    var p = path("bulk");
    b.whole("bulk", "MB/s", megabytes(), () -> {
      write(p, b.encoding, Algorithm.NONE);
      return 1;
    });
    fs.delete(p, false);
  }

  /** Writes a file of each encoding and of each codec, keeps them, and measures reads. */
  void run() throws IOException {
    boolean first = true;
    for (DataBlockEncoding encoding : ENCODINGS) {
      var p = path(encoding.name());
      write(p, encoding, Algorithm.NONE);
      hot(p, encoding.name(), first);
      cold(p, encoding.name());
      first = false;
    }
    for (Algorithm codec : CODECS) {
      var p = path(codec.name());
      write(p, DataBlockEncoding.NONE, codec);
      cold(p, codec.name());
    }
  }

  private org.apache.hadoop.fs.Path path(String name) {
    return new org.apache.hadoop.fs.Path(dir.resolve(name + ".hfile").toUri());
  }

  private double megabytes() {
    return n * (double) Rows.LOGICAL / 1e6;
  }

  static KeyValue cell(long i) {
    return new KeyValue(Rows.textRow(i), Rows.FAMILY, Rows.QUALIFIER, Rows.TIMESTAMP, KeyValue.Type.Put,
      Rows.value(i));
  }

  static KeyValue key(long i) {
    return new KeyValue(Rows.textRow(i), Rows.FAMILY, Rows.QUALIFIER, Rows.TIMESTAMP, KeyValue.Type.Put);
  }

  private void write(org.apache.hadoop.fs.Path p, DataBlockEncoding encoding, Algorithm codec)
    throws IOException {
    HFileContext c = new HFileContextBuilder()
      .withBlockSize(b.block)
      .withDataBlockEncoding(encoding)
      .withCompression(codec)
      .withColumnFamily(Rows.FAMILY)
      .withTableName(Store.NAME.getName())
      .build();
    StoreFileWriter w = new StoreFileWriter.Builder(conf, new CacheConfig(conf), fs)
      .withFilePath(p)
      .withFileContext(c)
      .withBloomType(BloomType.ROW)
      .withMaxKeyCount(n)
      .build();
    for (int i : order) {
      w.append(cell(i));
    }
    w.appendMetadata(1, false);
    w.close();
  }

  private HFile.Reader open(org.apache.hadoop.fs.Path p, LruBlockCache cache) throws IOException {
    CacheConfig config = cache == null ? CacheConfig.DISABLED : new CacheConfig(conf, cache);
    return HFile.createReader(fs, p, config, true, conf);
  }

  private static BloomFilter bloom(HFile.Reader r) throws IOException {
    DataInput meta = r.getGeneralBloomFilterMetadata();
    if (meta == null) {
      throw new IOException("no Bloom filter");
    }
    return BloomFilterFactory.createFromMeta(meta, r);
  }

  private HFileScanner scanner(HFile.Reader r, boolean cache, boolean pread) {
    return r.getScanner(conf, cache, pread, false);
  }

  private Bench.Op seek(HFile.Reader r, boolean cache) {
    HFileScanner s = scanner(r, cache, true);
    return i -> {
      if (s.seekTo(key(i)) != 0) {
        throw new IOException("row " + i + " is not there");
      }
      Bench.sink += Cells.value(s.getCell());
      return 1;
    };
  }

  private Bench.Op absent(HFile.Reader r, BloomFilter f) {
    HFileScanner s = scanner(r, true, true);
    return i -> {
      KeyValue k = key(i);
      if (f != null && !f.contains(k.getRowArray(), k.getRowOffset(), k.getRowLength(), null)) {
        return 1;
      }
      if (s.seekTo(k) == 0) {
        throw new IOException("row " + i + " should not be there");
      }
      return 1;
    };
  }

  private Bench.Whole scan(HFile.Reader r, boolean cache) {
    return () -> {
      long rows = 0, x = 0;
      try (HFileScanner s = scanner(r, cache, false)) {
        if (s.seekTo()) {
          do {
            x ^= Cells.rowAndValue(s.getCell());
            rows++;
          } while (s.next());
        }
      }
      if (rows != n) {
        throw new IOException("a full scan saw " + rows + " cells of " + n);
      }
      Bench.sink += x;
      return rows;
    };
  }

  private void verify(HFile.Reader r) throws IOException {
    int at = 0;
    try (HFileScanner s = scanner(r, false, false)) {
      Regions.check(s.seekTo(), "empty file");
      do {
        Cell c = s.getCell(), want = cell(order[at++]);
        Regions.check(CellUtil.equals(c, want)
          && CellUtil.matchingValue(c, want), "cell " + at);
      } while (s.next());
    }
    Regions.check(at == n, "cells: " + at);
  }

  private Bench.Draws uniform() {
    return t -> Rows.uniform(n, t, b.pass);
  }

  private static String named(String workload, String kind) {
    return workload + "/" + kind.toLowerCase(Locale.ROOT);
  }

  private void hot(org.apache.hadoop.fs.Path p, String kind, boolean first) throws IOException {
    Bench.Draws uniform = uniform(), missing = t -> Rows.missing(n, t, b.pass);
    long room = (long) (megabytes() * 3e6) + (256 << 20);
    LruBlockCache cache = new LruBlockCache(room, b.block, true, conf);
    try (HFile.Reader r = open(p, cache)) {
      verify(r);
      BloomFilter f = bloom(r);
      scan(r, true).run();
      if (first) {
        b.drive(1, jit * 0.5, false, uniform, t -> seek(r, true));
        b.drive(1, jit * 0.2, false, missing, t -> absent(r, f));
      }
      b.rate(named("file-seek-hot", kind), 1, "gets/s", uniform, t -> seek(r, true));
      b.rate(named("file-missing-bloom", kind), 1, "gets/s", missing, t -> absent(r, f));
      b.rate(named("file-missing-hot", kind), 1, "gets/s", missing, t -> absent(r, null));
      b.whole(named("file-scan-hot", kind), "rows/s", 1, scan(r, true));
    } finally {
      cache.shutdown();
    }
  }

  private void cold(org.apache.hadoop.fs.Path p, String kind) throws IOException {
    Store.warmPageCache(dir);
    try (HFile.Reader r = open(p, null)) {
      verify(r);
      b.rate(named("file-seek-cold", kind), 1, "gets/s", uniform(), t -> seek(r, false));
      b.whole(named("file-scan-cold", kind), "rows/s", 1, scan(r, false));
    }
  }
}
