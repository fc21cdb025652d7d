package hregion.oracle;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;
import org.apache.hadoop.hbase.util.BloomFilter;
import org.apache.hadoop.hbase.util.BloomFilterFactory;
import org.apache.hbase.thirdparty.com.google.gson.GsonBuilder;

/**
 * {@code probe}: reads a damaged file stage by stage, and compares with the undamaged file. The
 * result of a stage is "same", "wrong: ...", "error: ..." or "hang".
 */
final class ProbeCommand {
  private static final int BACKWARDS = 3000;

  /** One stage of reading. Returns null on success. */
  private interface Stage {
    String run() throws Exception;
  }

  private final Args args;
  private Env env;
  /** The URI of the file's folder, which is removed from messages. */
  private String folder;
  private HFile.Reader reader;
  private List<String> good = new ArrayList<>();
  private List<KeyValue> keys = new ArrayList<>();

  ProbeCommand(Args args) {
    this.args = args;
  }

  int run() throws IOException {
    String file = args.words.get(0);
    env = new Env(args);
    folder = env.path(file).getParent() + "/";
    readGood(args.need("good"));
    env.chooseZstd(file);
    HFile.getAndResetChecksumFailuresCount();
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("file", file);
    out.put("open", stage(() -> open(file)));
    if (reader != null) {
      out.put("scan", stage(this::scan));
      out.put("seek", stage(this::seek));
      out.put("back", stage(this::back));
      out.put("bloom", stage(this::bloom));
    }
    out.put("checksum_failures", HFile.getAndResetChecksumFailuresCount());
    Output.write(args.get("to", null),
      new GsonBuilder().disableHtmlEscaping().create().toJson(out));
    return 0;
  }

  private void readGood(String file) throws IOException {
    try (HFile.Reader r =
      HFile.createReader(env.fs, env.path(file), new CacheConfig(env.conf), true, env.conf);
      HFileScanner s = r.getScanner(env.conf, false, true, false)) {
      for (boolean more = s.seekTo(); more; more = s.next()) {
        good.add(CellJson.format(s.getCell(), true));
        keys.add(CellStats.key(s.getCell()));
      }
    }
  }

  private String stage(Stage stage) {
    FutureTask<String> task = new FutureTask<>(stage::run);
    Thread thread = new Thread(task);
    thread.setDaemon(true);
    thread.start();
    try {
      String result = task.get(args.number("timeout", 20), TimeUnit.SECONDS);
      return result == null ? "same" : result;
    } catch (TimeoutException e) {
      return "hang";
    } catch (ExecutionException e) {
      String cause = CheckCommand.cause(e.getCause()).replace(folder, "");
      return "error: " + cause.substring(0, Math.min(240, cause.length()));
    } catch (InterruptedException e) {
      return "interrupted";
    }
  }

  private String open(String file) throws IOException {
    reader = HFile.createReader(env.fs, env.path(file), new CacheConfig(env.conf), true, env.conf);
    return null;
  }

  private String scan() throws IOException {
    int n = 0;
    int different = 0;
    try (HFileScanner s = reader.getScanner(env.conf, false, true, false)) {
      for (boolean more = s.seekTo(); more; more = s.next()) {
        String cell = CellJson.format(s.getCell(), true);
        if (n >= good.size() || !good.get(n).equals(cell)) {
          different++;
        }
        if (++n > 4 * good.size() + 100) {
          return "wrong: endless cells";
        }
      }
    }
    return n == good.size() && different == 0
      ? null
      : "wrong: " + n + " cells for " + good.size() + ", " + different + " differ";
  }

  private String seek() throws IOException {
    int wrong = 0;
    int tried = 0;
    try (HFileScanner s = reader.getScanner(env.conf, false, true, false)) {
      for (int i = 0; i < keys.size(); i++) {
        tried++;
        boolean found =
          s.seekTo(keys.get(i)) == 0 && CellJson.format(s.getCell(), true).equals(good.get(i));
        wrong += found ? 0 : 1;
      }
    }
    return wrong == 0 ? null : "wrong: " + wrong + " of " + tried + " keys";
  }

  private String back() throws IOException {
    int wrong = 0;
    try (HFileScanner s = reader.getScanner(env.conf, false, true, false)) {
      for (int i = keys.size() - 1, n = 0; i > 0 && n < BACKWARDS; i--, n++) {
        boolean right = s.seekBefore(keys.get(i))
          && CellJson.formatKey(s.getCell()).equals(CellJson.formatKey(keys.get(i - 1)));
        wrong += right ? 0 : 1;
      }
    }
    return wrong == 0 ? null : "wrong: " + wrong + " steps";
  }

  private String bloom() throws IOException {
    if (reader.getGeneralBloomFilterMetadata() == null) {
      return "none";
    }
    BloomFilter filter =
      BloomFilterFactory.createFromMeta(reader.getGeneralBloomFilterMetadata(), reader);
    int missing = 0;
    for (Cell key : keys) {
      byte[] row = CellUtil.cloneRow(key);
      missing += filter.contains(row, 0, row.length, null) ? 0 : 1;
    }
    return missing == 0 ? null : "wrong: " + missing + " keys missing";
  }
}
