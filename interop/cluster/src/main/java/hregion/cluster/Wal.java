package hregion.cluster;

import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.shaded.protobuf.generated.WALProtos;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.wal.WAL;
import org.apache.hadoop.hbase.wal.WALEdit;
import org.apache.hadoop.hbase.wal.WALFactory;
import org.apache.hadoop.hbase.wal.WALKeyImpl;
import org.apache.hadoop.hbase.wal.WALStreamReader;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.protobuf.Message;
import org.apache.hbase.thirdparty.com.google.protobuf.TextFormat;

/**
 * Prints the contents of a WAL according to HBase's stream reader: a header line, a line per entry, and a
 * last line with the end or the error.
 */
final class Wal {
  private Wal() {
  }

  static void print(Configuration conf, File file, PrintStream out) throws IOException {
    out.println(Cells.GSON.toJson(header(file)));
    Path path = new Path(file.getAbsoluteFile().toURI());
    FileSystem fs = path.getFileSystem(conf);
    JsonObject end = new JsonObject();
    long entries = 0;
    WALStreamReader reader = null;
    try {
      reader = WALFactory.createStreamReader(fs, path, conf);
      for (WAL.Entry e; (e = reader.next()) != null;) {
        JsonObject o = entry(e);
        o.addProperty("end", reader.getPosition());
        out.println(Cells.GSON.toJson(o));
        entries++;
      }
      end.addProperty("ended", "eof");
      end.addProperty("position", reader.getPosition());
    } catch (IOException | RuntimeException e) {
      JsonObject error = Client.failure(e);
      error.addProperty("message",
        error.get("message").getAsString().replace(file.getAbsoluteFile().getParent(), "DIR"));
      error.remove("cause");
      end.addProperty("ended", "exception");
      end.add("error", error);
      if (reader != null) {
        end.addProperty("position", reader.getPosition());
      }
    } finally {
      if (reader != null) {
        reader.close();
      }
    }
    end.addProperty("entries", entries);
    end.addProperty("length", file.length());
    out.println(Cells.GSON.toJson(end));
  }

  private static JsonObject header(File file) throws IOException {
    JsonObject o = new JsonObject();
    try (DataInputStream in = new DataInputStream(new FileInputStream(file))) {
      byte[] magic = new byte[4];
      in.readFully(magic);
      o.addProperty("magic", Cells.text(magic));
      o.addProperty("header",
        TextFormat.shortDebugString(WALProtos.WALHeader.parseDelimitedFrom(in)));
    } catch (IOException | RuntimeException e) {
      o.addProperty("header_error", e.getClass().getName());
    }
    try (RandomAccessFile in = new RandomAccessFile(file, "r")) {
      byte[] tail = new byte[8];
      in.seek(Math.max(0, in.length() - 8));
      in.readFully(tail);
      if (Bytes.toString(tail, 4, 4).equals("LAWP")) {
        byte[] body = new byte[Bytes.toInt(tail)];
        in.seek(in.length() - 8 - body.length);
        in.readFully(body);
        o.addProperty("trailer",
          TextFormat.shortDebugString(WALProtos.WALTrailer.parseFrom(body)));
      }
    } catch (IOException | RuntimeException e) {
      // Too short, or not a message: no trailer exists.
    }
    return o;
  }

  static JsonObject entry(WAL.Entry e) throws IOException {
    WALKeyImpl k = e.getKey();
    JsonObject o = new JsonObject();
    o.addProperty("region", Cells.text(k.getEncodedRegionName()));
    o.addProperty("table", k.getTableName().getNameAsString());
    o.addProperty("sequence", k.getSequenceId());
    o.addProperty("write_time", k.getWriteTime());
    if (k.getOrigLogSeqNum() != 0 && k.getOrigLogSeqNum() != k.getSequenceId()) {
      o.addProperty("orig_sequence", k.getOrigLogSeqNum());
    }
    if (!k.getClusterIds().isEmpty()) {
      o.addProperty("clusters", k.getClusterIds().toString());
    }
    if (k.getNonceGroup() != 0 || k.getNonce() != 0) {
      o.addProperty("nonce_group", k.getNonceGroup());
      o.addProperty("nonce", k.getNonce());
    }
    if (k.getReplicationScopes() != null && !k.getReplicationScopes().isEmpty()) {
      JsonObject scopes = new JsonObject();
      for (Map.Entry<byte[], Integer> s : k.getReplicationScopes().entrySet()) {
        scopes.addProperty(Cells.text(s.getKey()), s.getValue());
      }
      o.add("scopes", scopes);
    }
    if (k.getExtendedAttributes() != null && !k.getExtendedAttributes().isEmpty()) {
      JsonObject extended = new JsonObject();
      for (Map.Entry<String, byte[]> a : new TreeMap<>(k.getExtendedAttributes()).entrySet()) {
        extended.addProperty(a.getKey(), Cells.text(a.getValue()));
      }
      o.add("extended", extended);
    }
    JsonArray cells = new JsonArray();
    for (Cell c : e.getEdit().getCells()) {
      JsonObject cell = Cells.toJson(c);
      if (WALEdit.isMetaEditFamily(c)) {
        String marker = marker(c);
        cell.addProperty("marker", marker);
      }
      cells.add(cell);
    }
    o.add("cells", cells);
    return o;
  }

  private static String marker(Cell c) throws IOException {
    String q = Bytes.toString(CellUtil.cloneQualifier(c));
    Message m = q.startsWith("HBASE::COMPACTION") ? WALEdit.getCompaction(c)
      : q.startsWith("HBASE::FLUSH") ? WALEdit.getFlushDescriptor(c)
      : q.startsWith("HBASE::REGION_EVENT") ? WALEdit.getRegionEventDescriptor(c)
      : q.startsWith("HBASE::BULK_LOAD") ? WALEdit.getBulkLoadDescriptor(c)
      : null;
    return m == null ? null
      : m.getDescriptorForType().getName() + " { " + TextFormat.shortDebugString(m) + " }";
  }

  /** {@code FILE... [--out DIR] [-D key=value]...}: to stdout, or one {@code .jsonl} per file. */
  public static void main(String[] argv) throws Exception {
    Settings.Args args = new Settings.Args(argv);
    Configuration conf = args.overrides(Settings.base());
    for (String name : args.rest()) {
      File file = new File(name);
      if (args.has("out")) {
        File to = new File(args.get("out", ""), file.getName() + ".jsonl");
        Files.createDirectories(to.getAbsoluteFile().getParentFile().toPath());
        try (PrintStream out = new PrintStream(to, StandardCharsets.UTF_8)) {
          print(conf, file, out);
        }
      } else {
        print(conf, file, new PrintStream(System.out, true, StandardCharsets.UTF_8));
      }
    }
    System.exit(0);
  }
}
