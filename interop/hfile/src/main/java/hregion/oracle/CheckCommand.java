package hregion.oracle;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellComparator;
import org.apache.hadoop.hbase.KeyValueUtil;
import org.apache.hadoop.hbase.io.hfile.BlockCache;
import org.apache.hadoop.hbase.io.hfile.BlockCacheFactory;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.Gson;
import org.apache.hbase.thirdparty.com.google.gson.GsonBuilder;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** {@code check}: verifies files with HBase's reader. */
final class CheckCommand {
  private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().create();

  private final Args args;

  CheckCommand(Args args) {
    this.args = args;
  }

  int run() throws IOException {
    int status = 0;
    for (String file : args.words) {
      Findings findings = new Findings();
      JsonObject report = new JsonObject();
      report.addProperty("file", file);
      long start = System.nanoTime();
      try {
        check(file, findings, report);
      } catch (Exception | LinkageError | AssertionError | OutOfMemoryError
        | StackOverflowError e) {
        findings.add("HBase fails: " + cause(e));
      }
      report.addProperty("seconds", (System.nanoTime() - start) / 1000000 / 1000.0);
      report.addProperty("ok", findings.list.isEmpty());
      JsonArray list = new JsonArray();
      findings.list.forEach(list::add);
      report.add("findings", list);
      Output.write(args.get("to", null), GSON.toJson(report));
      status |= findings.list.isEmpty() ? 0 : 1;
    }
    return status;
  }

  static String cause(Throwable e) {
    StringBuilder s = new StringBuilder();
    for (Throwable t = e; t != null; t = t.getCause()) {
      String line = t.getClass().getSimpleName() + ": " + t.getMessage();
      s.append(s.length() > 0 ? " < " : "").append(line, 0, Math.min(300, line.length()));
    }
    return s.toString();
  }

  private void check(String file, Findings findings, JsonObject report) throws IOException {
    Env env = new Env(args);
    env.chooseZstd(file);
    HFile.getAndResetChecksumFailuresCount();
    CellStats stats;
    try (HFile.Reader reader =
      HFile.createReader(env.fs, env.path(file), new CacheConfig(env.conf), true, env.conf)) {
      Map<byte[], byte[]> info = new TreeMap<>(Bytes.BYTES_COMPARATOR);
      info.putAll(reader.getHFileInfo());
      CellComparator order = reader.getComparator();
      SeekCheck seeks = new SeekCheck(reader, findings);
      BloomCheck blooms = new BloomCheck(reader, info, findings);
      stats = scan(reader, env, false, false, order, findings, seeks, blooms);
      report.addProperty("cells", stats.cells);
      new FileInfoCheck(info, stats, findings).run();
      new TrailerCheck(file, reader, stats, findings).run();
      seeks.run(reader, env.conf, false, true);
      midKey(reader, order, stats, findings);
      report.addProperty("seeks", seeks.seeks);
      report.add("bloom", blooms.finish(stats.familyDeletes));
      cached(file, env, stats, seeks, findings);
    }
    long failures = HFile.getAndResetChecksumFailuresCount();
    findings.addIf(failures > 0, failures + " checksum failures");
  }

  private static CellStats scan(HFile.Reader reader, Env env, boolean cache, boolean pread,
    CellComparator order, Findings findings, SeekCheck seeks, BloomCheck blooms)
    throws IOException {
    CellStats stats = new CellStats();
    Cell previous = null;
    try (HFileScanner scanner = reader.getScanner(env.conf, cache, pread, false)) {
      boolean more = scanner.seekTo();
      while (more) {
        Cell cell = scanner.getCell();
        if (order != null && previous != null && order.compare(previous, cell, true) > 0) {
          findings.add("out of order: " + cell + " after " + previous);
        }
        stats.add(cell);
        if (seeks != null) {
          seeks.add(cell);
          blooms.add(cell);
        }
        previous = KeyValueUtil.copyToNewKeyValue(cell);
        more = scanner.next();
      }
    }
    findings.addIf(stats.badCell != null, stats.badCell);
    return stats;
  }

  /** Scans twice through a block cache; the second scan finds every block in it. */
  private static void cached(String file, Env env, CellStats first, SeekCheck seeks,
    Findings findings) throws IOException {
    env.conf.setFloat("hfile.block.cache.size", 0.2f);
    BlockCache cache = BlockCacheFactory.createBlockCache(env.conf);
    CacheConfig cacheConf = new CacheConfig(env.conf, cache);
    try (HFile.Reader reader =
      HFile.createReader(env.fs, env.path(file), cacheConf, true, env.conf)) {
      for (int i = 0; i < 2; i++) {
        CellStats again = scan(reader, env, true, i == 0, null, findings, null, null);
        findings.addIf(again.digest != first.digest, "other cells through the cache");
      }
      seeks.run(reader, env.conf, true, true);
    } finally {
      cache.shutdown();
    }
  }

  private static void midKey(HFile.Reader reader, CellComparator order, CellStats stats,
    Findings findings) throws IOException {
    if (stats.cells == 0) {
      return;
    }
    Cell mid = reader.midKey().orElse(null);
    if (mid == null) {
      findings.add("no mid key");
      return;
    }
    findings.addIf(order.compare(mid, reader.getFirstKey().get(), true) < 0
      || order.compare(mid, stats.last, true) > 0, "mid key outside the file: " + mid);
  }
}
