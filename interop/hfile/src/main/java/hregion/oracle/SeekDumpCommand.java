package hregion.oracle;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;

/**
 * {@code seekdump}: prints for each key the result of seekTo, the cell at which the scanner is then
 * positioned, and the cell that seekBefore finds. Each seek uses a new scanner. A seeker that moved
 * back returns wrong tags if tags are compressed; they are omitted. With ROW_INDEX_V1, seekBefore
 * inside the first row of a block finds the block's first cell; a result in the row of the key is
 * omitted.
 */
final class SeekDumpCommand {
  private final Args args;

  SeekDumpCommand(Args args) {
    this.args = args;
  }

  int run() throws IOException {
    Env env = new Env(args);
    String file = args.words.get(0);
    env.chooseZstd(file);
    try (
      HFile.Reader reader =
        HFile.createReader(env.fs, env.path(file), new CacheConfig(env.conf), true, env.conf);
      BufferedReader keys = CellJson.open(args.need("keys"));
      PrintStream out = Output.open(args.get("to", null))) {
      boolean mvcc = reader.getHFileInfo().shouldIncludeMemStoreTS();
      boolean compressed = reader.getFileContext().isCompressTags();
      boolean rowIndex = reader.getDataBlockEncoding() == DataBlockEncoding.ROW_INDEX_V1;
      for (String line = keys.readLine(); line != null; line = keys.readLine()) {
        KeyValue key = CellJson.parse(line);
        key.setSequenceId(0); // the root index compares it with 0
        out.print("{\"key\":" + CellJson.formatKey(key));
        try (HFileScanner scanner = reader.getScanner(env.conf, false, true, false)) {
          int code = scanner.seekTo(key);
          boolean wrongTags = compressed && code == 1;
          out.print(",\"seek\":" + code + ",\"cell\":" + cell(scanner, mvcc, wrongTags));
        }
        try (HFileScanner scanner = reader.getScanner(env.conf, false, true, false)) {
          boolean found = scanner.seekBefore(key);
          boolean doubtful = found && rowIndex && CellUtil.matchingRows(scanner.getCell(), key);
          String before = found ? cell(scanner, mvcc, compressed) : "null";
          out.println(doubtful ? "}" : ",\"before\":" + before + "}");
        }
      }
    }
    return 0;
  }

  private static String cell(HFileScanner scanner, boolean mvcc, boolean wrongTags) {
    Cell cell = scanner.isSeeked() ? scanner.getCell() : null;
    return cell == null ? "null" : CellJson.format(cell, mvcc, !wrongTags);
  }
}
