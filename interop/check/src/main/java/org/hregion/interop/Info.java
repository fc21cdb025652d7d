package org.hregion.interop;

import java.util.List;
import java.util.Map;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.util.Bytes;

/** Checks the file info against the cells. */
final class Info {
  private final Map<byte[], byte[]> info;
  private final HFile.Reader reader;
  private final List<KeyValue> cells;
  private final Findings findings;

  Info(Map<byte[], byte[]> info, HFile.Reader reader, List<KeyValue> cells, Findings findings) {
    this.info = info;
    this.reader = reader;
    this.cells = cells;
    this.findings = findings;
  }

  void check() {
    long keys = 0;
    long values = 0;
    long sequenceId = 0;
    int tags = 0;
    long earliestPut = Long.MAX_VALUE;
    long deletedFamilies = 0;
    for (KeyValue cell : cells) {
      keys += cell.getKeyLength();
      values += cell.getValueLength();
      sequenceId = Math.max(sequenceId, cell.getSequenceId());
      tags = Math.max(tags, cell.getTagsLength());
      KeyValue.Type type = KeyValue.Type.codeToType(cell.getTypeByte());
      if (type == KeyValue.Type.Put) {
        earliestPut = Math.min(earliestPut, cell.getTimestamp());
      }
      deletedFamilies += type == KeyValue.Type.DeleteFamily || type == KeyValue.Type.DeleteFamilyVersion ? 1 : 0;
    }
    long count = Math.max(1, cells.size());
    number("hfile.AVG_KEY_LEN", keys / count, 4);
    number("hfile.AVG_VALUE_LEN", values / count, 4);
    if (reader.getHFileInfo().shouldIncludeMemStoreTS()) {
      number("MAX_MEMSTORE_TS_KEY", sequenceId, 8);
    }
    if (reader.getFileContext().isIncludesTags()) {
      number("hfile.MAX_TAGS_LEN", tags, 4);
    }
    if (value("hfile.CREATE_TIME_TS") == null) {
      findings.add("hfile.CREATE_TIME_TS is missing");
    }
    if (value("TIMERANGE") != null) {
      number("EARLIEST_PUT_TS", earliestPut, 8);
      number("DELETE_FAMILY_COUNT", deletedFamilies, 8);
      timeRange();
      for (String name : List.of("MAX_SEQ_ID_KEY", "MAJOR_COMPACTION_KEY")) {
        if (value(name) == null) {
          findings.add(name + " is missing");
        }
      }
    }
  }

  private void timeRange() {
    long least = Long.MAX_VALUE;
    long greatest = -1;
    for (Cell cell : cells) {
      KeyValue.Type type = KeyValue.Type.codeToType(cell.getTypeByte());
      boolean hidesOlder = type == KeyValue.Type.DeleteFamily || type == KeyValue.Type.DeleteColumn;
      least = Math.min(least, hidesOlder ? 0 : cell.getTimestamp());
      greatest = Math.max(greatest, cell.getTimestamp());
    }
    byte[] range = value("TIMERANGE");
    findings.expect("length of TIMERANGE", 16, range.length);
    if (range.length == 16) {
      findings.expect("least timestamp", least, Bytes.toLong(range, 0));
      findings.expect("greatest timestamp", greatest, Bytes.toLong(range, 8));
    }
  }

  private void number(String name, long expected, int length) {
    byte[] value = value(name);
    if (value == null || value.length != length) {
      findings.add(name + " is missing, or has another length than " + length);
      return;
    }
    findings.expect(name, expected, length == 4 ? (long) Bytes.toInt(value) : Bytes.toLong(value));
  }

  private byte[] value(String name) {
    return info.get(Bytes.toBytes(name));
  }
}
