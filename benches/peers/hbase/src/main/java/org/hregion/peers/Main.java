package org.hregion.peers;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.apache.hadoop.hbase.HConstants;

/** Measures HBase in one process. Prints a line of JSON for each measurement. */
public final class Main {
  private static final String USAGE = """
    --parts A,B,...     writes, logs, runs5, hot, cold, wide, versions, files (writes,logs,runs5,hot,cold,versions)
    --n ROWS            rows (1000000)
    --variant V         default; data block encoding fast_diff or row_index; Bloom filters rowcol, for `wide`
    --cold-percent P    block cache of the part cold, in percent of the data (10)
    --block BYTES       data blocks (0: HBase's default)
    --secs S            shortest time of a measurement (0.8)
    --warm S            the same operation before it is measured (1.5)
    --jit S             reads before the first measurement of a part (10)
    --threads N         gets and puts are measured with one thread and with this many (2)
    --pass P            a number for the lines and the seeds (1)
    --dir DIR           for data; a directory that does not exist (a temporary one). The part files leaves its
                        files there, other parts leave nothing.
    """;

  private final Map<String, String> options = new LinkedHashMap<>();

  private Main(String[] args) {
    for (int i = 0; i < args.length; i += 2) {
      if (!USAGE.contains(args[i] + " ") || i + 1 == args.length) {
        throw new IllegalArgumentException(args[i] + " is not an option, or has no value");
      }
      options.put(args[i], args[i + 1]);
    }
  }

  private String text(String name, String or) {
    return options.getOrDefault(name, or);
  }

  private int integer(String name, int or) {
    return Integer.parseInt(text(name, Integer.toString(or)));
  }

  private double number(String name, double or) {
    return Double.parseDouble(text(name, Double.toString(or)));
  }

  private void run() throws Exception {
    String given = options.get("--dir");
    Path dir = given == null ? Files.createTempDirectory("peers-hbase") : Path.of(given).toAbsolutePath();
    if (given != null) {
      Files.createDirectory(dir);
    }
    Set<String> parts = Set.of(text("--parts", "writes,logs,runs5,hot,cold,versions").split(","));
    int block = integer("--block", 0);
    Bench b = new Bench(System.out, text("--variant", "default"),
      block > 0 ? block : HConstants.DEFAULT_BLOCKSIZE, integer("--n", 1_000_000), integer("--pass", 1),
      integer("--threads", 2), number("--secs", 0.8), number("--warm", 1.5));
    double jit = number("--jit", 10);
    Store.chunks();
    new Regions(b, dir, parts, jit, number("--cold-percent", 10)).run();
    if (parts.contains("writes")) {
      new HFiles(b, dir, jit).bulk();
    }
    if (parts.contains("files")) {
      new HFiles(b, dir, jit).run();
    } else {
      Store.delete(dir);
    }
  }

  public static void main(String[] args) {
    if (args.length == 1 && args[0].equals("--help")) {
      System.out.print(USAGE);
      return;
    }
    int status = 0;
    try {
      new Main(args).run();
    } catch (Throwable e) {
      e.printStackTrace();
      status = 1;
    }
    System.exit(status); // HBase's threads are still running
  }
}
