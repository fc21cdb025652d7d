package org.hregion.interop;

import java.util.Iterator;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.PrivateCellUtil;
import org.apache.hadoop.hbase.Tag;
import org.apache.hadoop.hbase.util.Bytes;

/** Cells as JSON lines. */
final class Json {
  private Json() {}

  static String cell(Cell cell, boolean withSequenceId, boolean withTags) {
    StringBuilder line = new StringBuilder(200);
    member(line.append('{'), "row", CellUtil.cloneRow(cell));
    member(line.append(','), "family", CellUtil.cloneFamily(cell));
    member(line.append(','), "qualifier", CellUtil.cloneQualifier(cell));
    line.append(",\"timestamp\":").append(cell.getTimestamp());
    line.append(",\"type\":\"").append(KeyValue.Type.codeToType(cell.getTypeByte())).append('"');
    member(line.append(','), "value", CellUtil.cloneValue(cell));
    if (withSequenceId) {
      line.append(",\"sequence_id\":").append(cell.getSequenceId());
    }
    Iterator<Tag> tags = PrivateCellUtil.tagsIterator(cell);
    if (withTags && tags.hasNext()) {
      String before = ",\"tags\":[";
      while (tags.hasNext()) {
        Tag tag = tags.next();
        line.append(before).append("{\"type\":").append(tag.getType() & 0xff).append(',');
        member(line, "value", Tag.cloneValue(tag));
        line.append('}');
        before = ",";
      }
      line.append(']');
    }
    return line.append('}').toString();
  }

  private static void member(StringBuilder line, String name, byte[] bytes) {
    line.append('"').append(name).append("\":").append(quoted(Bytes.toStringBinary(bytes)));
  }

  static String quoted(String text) {
    StringBuilder out = new StringBuilder(text.length() + 2).append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ') {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }
}
