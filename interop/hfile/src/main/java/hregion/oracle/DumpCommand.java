package hregion.oracle;

import java.io.IOException;
import java.io.PrintStream;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;

/** {@code dump}: prints every cell that HBase reads. */
final class DumpCommand {
  private final Args args;

  DumpCommand(Args args) {
    this.args = args;
  }

  int run() throws IOException {
    try (PrintStream out = Output.open(args.get("to", null))) {
      for (String file : args.words) {
        dump(file, out);
      }
    }
    return 0;
  }

  private void dump(String file, PrintStream out) throws IOException {
    Env env = new Env(args);
    env.chooseZstd(file);
    try (HFile.Reader reader =
      HFile.createReader(env.fs, env.path(file), new CacheConfig(env.conf), true, env.conf);
      HFileScanner scanner = reader.getScanner(env.conf, false, true, false)) {
      boolean mvcc = reader.getHFileInfo().shouldIncludeMemStoreTS();
      if (!scanner.seekTo()) {
        return;
      }
      do {
        Cell cell = scanner.getCell();
        out.println(CellJson.format(cell, mvcc));
      } while (scanner.next());
    }
  }
}
