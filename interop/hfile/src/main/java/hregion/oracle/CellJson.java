package hregion.oracle;

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.apache.hadoop.hbase.ArrayBackedTag;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.PrivateCellUtil;
import org.apache.hadoop.hbase.Tag;
import org.apache.hbase.thirdparty.com.google.gson.JsonElement;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.gson.JsonParser;

/** The canonical JSON form of a cell, one object per line. */
final class CellJson {
  private CellJson() {
  }

  static String format(Cell cell, boolean withSequenceId) {
    return format(cell, withSequenceId, true);
  }

  static String format(Cell cell, boolean withSequenceId, boolean withTags) {
    StringBuilder s = key(cell);
    s.append(",\"value\":");
    quote(s, CellUtil.cloneValue(cell));
    if (withSequenceId) {
      s.append(",\"sequence_id\":").append(cell.getSequenceId());
    }
    if (withTags && cell.getTagsLength() > 0) {
      s.append(",\"tags\":[");
      Iterator<Tag> tags = PrivateCellUtil.tagsIterator(cell);
      while (tags.hasNext()) {
        Tag tag = tags.next();
        s.append("{\"type\":").append(tag.getType() & 0xff).append(",\"value\":");
        quote(s, Tag.cloneValue(tag));
        s.append(tags.hasNext() ? "}," : "}");
      }
      s.append(']');
    }
    return s.append('}').toString();
  }

  /** Formats only the key, as for index keys. */
  static String formatKey(Cell cell) {
    return key(cell).append('}').toString();
  }

  private static StringBuilder key(Cell cell) {
    StringBuilder s = new StringBuilder(160);
    s.append("{\"row\":");
    quote(s, CellUtil.cloneRow(cell));
    s.append(",\"family\":");
    quote(s, CellUtil.cloneFamily(cell));
    s.append(",\"qualifier\":");
    quote(s, CellUtil.cloneQualifier(cell));
    s.append(",\"timestamp\":").append(cell.getTimestamp());
    s.append(",\"type\":\"").append(typeName(cell.getTypeByte())).append('"');
    return s;
  }

  static KeyValue parse(String line) {
    JsonObject o = JsonParser.parseString(line).getAsJsonObject();
    List<Tag> tags = null;
    if (o.has("tags")) {
      tags = new ArrayList<>();
      for (JsonElement e : o.getAsJsonArray("tags")) {
        JsonObject t = e.getAsJsonObject();
        tags.add(new ArrayBackedTag((byte) t.get("type").getAsInt(),
          Binary.parse(t.get("value").getAsString())));
      }
    }
    long timestamp =
      o.has("timestamp") ? o.get("timestamp").getAsLong() : HConstants.LATEST_TIMESTAMP;
    KeyValue.Type type =
      o.has("type") ? KeyValue.Type.valueOf(o.get("type").getAsString()) : KeyValue.Type.Maximum;
    byte[] row = bytes(o, "row");
    byte[] family = bytes(o, "family");
    byte[] qualifier = bytes(o, "qualifier");
    byte[] value = bytes(o, "value");
    KeyValue cell = new KeyValue(row, 0, row.length, family, 0, family.length, qualifier, 0,
      qualifier.length, Math.max(timestamp, 0), type, value, 0, value.length, tags);
    if (timestamp < 0) {
      cell.setTimestamp(timestamp); // the constructor refuses negative ones, the format does not
    }
    if (o.has("sequence_id")) {
      cell.setSequenceId(o.get("sequence_id").getAsLong());
    }
    return cell;
  }

  static List<KeyValue> readAll(String file) throws IOException {
    List<KeyValue> cells = new ArrayList<>();
    try (BufferedReader in = open(file)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        if (!line.isBlank()) {
          cells.add(parse(line));
        }
      }
    }
    return cells;
  }

  /** Reads cells one by one, for lists that do not fit into memory. */
  static Iterable<KeyValue> stream(String file) throws IOException {
    BufferedReader in = open(file);
    return () -> in.lines().filter(line -> !line.isBlank()).map(CellJson::parse).iterator();
  }

  static BufferedReader open(String file) throws IOException {
    InputStream in = file.equals("-") ? System.in : new FileInputStream(file);
    if (file.endsWith(".gz")) {
      in = new GZIPInputStream(in);
    }
    return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
  }

  static String typeName(byte code) {
    for (KeyValue.Type type : KeyValue.Type.values()) {
      if (type.getCode() == code) {
        return type.name();
      }
    }
    return "Unknown" + (code & 0xff);
  }

  private static byte[] bytes(JsonObject o, String name) {
    return o.has(name) ? Binary.parse(o.get(name).getAsString()) : HConstants.EMPTY_BYTE_ARRAY;
  }

  /** Appends a JSON string; the binary form has no characters outside printable ASCII. */
  private static void quote(StringBuilder s, byte[] bytes) {
    s.append('"');
    String text = Binary.show(bytes);
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        s.append('\\');
      }
      s.append(c);
    }
    s.append('"');
  }
}
