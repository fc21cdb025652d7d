package hregion.oracle;

import java.util.Iterator;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.KeyValueUtil;
import org.apache.hadoop.hbase.PrivateCellUtil;
import org.apache.hadoop.hbase.Tag;

/** Statistics of the cells, to compare with the file info. */
final class CellStats {
  long cells;
  long keyBytes;
  long valueBytes;
  long maxMvcc;
  int maxTags;
  long minTimestamp = Long.MAX_VALUE;
  long maxTimestamp = -1;
  long earliestPut = HConstants.LATEST_TIMESTAMP;
  long familyDeletes;
  long biggest = -1;
  long digest = 1;
  KeyValue biggestKey;
  KeyValue last;
  String badCell;

  void add(Cell cell) {
    cells++;
    int keyLength = KeyValueUtil.keyLength(cell);
    keyBytes += keyLength;
    valueBytes += cell.getValueLength();
    maxMvcc = Math.max(maxMvcc, cell.getSequenceId());
    maxTags = Math.max(maxTags, cell.getTagsLength());
    addTime(cell);
    byte type = cell.getTypeByte();
    if (type == KeyValue.Type.DeleteFamily.getCode()
      || type == KeyValue.Type.DeleteFamilyVersion.getCode()) {
      familyDeletes++;
    }
    long size = PrivateCellUtil.estimatedSerializedSizeOf(cell);
    if (size > biggest) {
      biggest = size;
      biggestKey = key(cell);
    }
    last = key(cell);
    checkShape(cell);
    digest = digest * 1000003 + CellUtil.getCellKeyAsString(cell).hashCode();
    digest = digest * 1000003 + java.util.Arrays.hashCode(CellUtil.cloneValue(cell));
    digest = digest * 1000003 + cell.getSequenceId() + cell.getTagsLength();
  }

  /** Returns a copy of the key with mvcc 0, for seeks. */
  static KeyValue key(Cell cell) {
    byte[] flat = PrivateCellUtil.getCellKeySerializedAsKeyValueKey(cell);
    return new KeyValue.KeyOnlyKeyValue(flat, 0, flat.length);
  }

  private void addTime(Cell cell) {
    long ts = cell.getTimestamp();
    byte type = cell.getTypeByte();
    boolean reachesBack = type == KeyValue.Type.DeleteColumn.getCode()
      || type == KeyValue.Type.DeleteFamily.getCode();
    minTimestamp = Math.min(minTimestamp, reachesBack ? 0 : ts);
    maxTimestamp = Math.max(maxTimestamp, ts);
    if (type == KeyValue.Type.Put.getCode()) {
      earliestPut = Math.min(earliestPut, ts);
    }
  }

  private void checkShape(Cell cell) {
    if (badCell != null) {
      return;
    }
    String type = CellJson.typeName(cell.getTypeByte());
    if (type.startsWith("Unknown") || type.equals("Minimum") || type.equals("Maximum")) {
      badCell = "cell " + cells + " has type " + type;
    }
    int length = 0;
    Iterator<Tag> tags = PrivateCellUtil.tagsIterator(cell);
    while (tags.hasNext()) {
      length += 3 + tags.next().getValueLength();
    }
    if (length != cell.getTagsLength()) {
      badCell = "cell " + cells + " has a malformed tag area";
    }
  }
}
