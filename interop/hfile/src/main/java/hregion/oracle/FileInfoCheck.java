package hregion.oracle;

import java.util.Map;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.util.Bytes;

/** Compares the file info with the cells counted. Keys that a plain HFile may lack are optional. */
final class FileInfoCheck {
  private final Map<byte[], byte[]> info;
  private final CellStats stats;
  private final Findings findings;

  FileInfoCheck(Map<byte[], byte[]> info, CellStats stats, Findings findings) {
    this.info = info;
    this.stats = stats;
    this.findings = findings;
  }

  void run() {
    long n = Math.max(1, stats.cells);
    number("hfile.AVG_KEY_LEN", true, 4, stats.keyBytes / n);
    number("hfile.AVG_VALUE_LEN", true, 4, stats.valueBytes / n);
    key("hfile.LASTKEY", stats.last);
    byte[] version = get("KEY_VALUE_VERSION");
    boolean mvcc = version != null && version.length == 4 && Bytes.toInt(version) == 1;
    if (mvcc) {
      number("MAX_MEMSTORE_TS_KEY", true, 8, stats.maxMvcc);
    } else {
      findings.addIf(stats.maxMvcc > 0, "mvcc without KEY_VALUE_VERSION 1");
    }
    if (get("hfile.MAX_TAGS_LEN") != null) {
      number("hfile.MAX_TAGS_LEN", true, 4, stats.maxTags);
    }
    // The writer also counts tags that it does not store; such a file cannot be checked.
    if (get("hfile.KEY_OF_BIGGEST_CELL") != null && !(get("hfile.MAX_TAGS_LEN") == null && larger())) {
      key("hfile.KEY_OF_BIGGEST_CELL", stats.biggestKey);
      number("hfile.LEN_OF_BIGGEST_CELL", true, 8, stats.biggest);
    }
    number("EARLIEST_PUT_TS", false, 8, stats.earliestPut);
    number("DELETE_FAMILY_COUNT", false, 8, stats.familyDeletes);
    timeRange();
    byte[] seq = get("MAX_SEQ_ID_KEY");
    findings.addIf(seq != null && seq.length != 8, "MAX_SEQ_ID_KEY is not 8 bytes");
  }

  private boolean larger() {
    byte[] v = get("hfile.LEN_OF_BIGGEST_CELL");
    return v != null && v.length == 8 && Bytes.toLong(v) > stats.biggest;
  }

  private byte[] get(String name) {
    return info.get(Bytes.toBytes(name));
  }

  private void number(String name, boolean required, int size, long counted) {
    byte[] v = get(name);
    if (v == null) {
      findings.addIf(required, name + " is missing");
    } else if (v.length != size) {
      findings.add(name + " has " + v.length + " bytes");
    } else {
      findings.same(name, size == 4 ? Bytes.toInt(v) : Bytes.toLong(v), counted);
    }
  }

  private void key(String name, KeyValue counted) {
    byte[] v = get(name);
    String stored = v == null ? null : Binary.show(v);
    findings.same(name, stored, counted == null ? null : Binary.show(counted.getKey()));
  }

  private void timeRange() {
    byte[] v = get("TIMERANGE");
    if (v == null) {
      return;
    }
    if (v.length < 16) {
      findings.add("TIMERANGE has " + v.length + " bytes");
      return;
    }
    findings.same("TIMERANGE min", Bytes.toLong(v, 0), stats.minTimestamp);
    findings.same("TIMERANGE max", Bytes.toLong(v, 8), stats.maxTimestamp);
  }
}
