package hregion.old;

import java.io.BufferedReader;
import java.io.FileReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.KeyValue;

/**
 * Writes and reads HFiles with an old HBase. Cells are lines of tab-separated hex:
 * {@code serialized KeyValue, mvcc}; the serialized form is as in an uncompressed data block.
 */
public final class Main {
  private Main() {
  }

  public static void main(String[] argv) throws Exception {
    String version = System.getProperty("hregion.java.version");
    if (version != null) {
      System.setProperty("java.version", version);
    }
    Map<String, String> settings = new HashMap<>();
    Configuration conf = HBaseConfiguration.create();
    conf.set("fs.default.name", "file:///");
    conf.set("fs.defaultFS", "file:///");
    List<String> words = new ArrayList<>();
    for (String a : argv) {
      int eq = a.indexOf('=');
      if (a.startsWith("--") && eq > 0) {
        settings.put(a.substring(2, eq), a.substring(eq + 1));
      } else if (a.startsWith("-D") && eq > 0) {
        conf.set(a.substring(2, eq), a.substring(eq + 1));
      } else {
        words.add(a);
      }
    }
    FileSystem fs = FileSystem.getLocal(conf).getRaw();
    int status = 0;
    try {
      run(words, settings, conf, fs);
    } catch (Throwable e) {
      e.printStackTrace();
      status = 1;
    }
    System.out.flush();
    System.exit(status);
  }

  private static void run(List<String> words, Map<String, String> settings, Configuration conf,
    FileSystem fs) throws Exception {
    Line line = new Line(conf, fs);
    if (words.get(0).equals("write")) {
      Path out = new Path(words.get(2));
      fs.delete(out, false);
      line.write(settings, readCells(words.get(1)), out);
    } else {
      PrintStream out = new PrintStream(System.out, false);
      line.dump(new Path(words.get(1)), out);
      out.flush();
    }
  }

  private static List<KeyValue> readCells(String file) throws Exception {
    List<KeyValue> cells = new ArrayList<>();
    try (BufferedReader in = new BufferedReader(new FileReader(file))) {
      for (String s = in.readLine(); s != null; s = in.readLine()) {
        int tab = s.indexOf('\t');
        byte[] bytes = fromHex(s.substring(0, tab));
        KeyValue kv = new KeyValue(bytes, 0, bytes.length);
        setMvcc(kv, Long.parseLong(s.substring(tab + 1)));
        cells.add(kv);
      }
    }
    return cells;
  }

  /** Calls the setter, whose name changed twice. */
  private static void setMvcc(KeyValue kv, long mvcc) throws Exception {
    for (String name : new String[] { "setSequenceId", "setMvccVersion", "setMemstoreTS" }) {
      try {
        KeyValue.class.getMethod(name, long.class).invoke(kv, mvcc);
        return;
      } catch (NoSuchMethodException e) {
        continue;
      }
    }
    throw new IllegalStateException("no setter for mvcc");
  }

  static void print(PrintStream out, KeyValue kv, long mvcc) {
    byte[] bytes = new byte[kv.getLength()];
    ByteBuffer.wrap(kv.getBuffer(), kv.getOffset(), kv.getLength()).get(bytes);
    StringBuilder s = new StringBuilder();
    for (byte b : bytes) {
      s.append(Character.forDigit((b >> 4) & 15, 16)).append(Character.forDigit(b & 15, 16));
    }
    out.println(s.append('\t').append(mvcc));
  }

  private static byte[] fromHex(String s) {
    byte[] out = new byte[s.length() / 2];
    for (int i = 0; i < out.length; i++) {
      out[i] = (byte) Integer.parseInt(s.substring(2 * i, 2 * i + 2), 16);
    }
    return out;
  }
}
