package org.hregion.interop;

import java.util.List;
import java.util.Map;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.PrivateCellUtil;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.util.BloomFilter;
import org.apache.hadoop.hbase.util.Bytes;

/** Looks up all keys of the file in the filters. They may deny none. */
final class Blooms {
  private Blooms() {}

  static void general(
      BloomFilter filter, BloomType type, Map<byte[], byte[]> info, List<KeyValue> cells, Findings findings) {
    int prefix = type == BloomType.ROWPREFIX_FIXED_LENGTH ? Bytes.toInt(info.get(Bytes.toBytes("BLOOM_FILTER_PARAM"))) : 0;
    Cell last = null;
    long keys = 0;
    for (KeyValue cell : cells) {
      byte[] row = CellUtil.cloneRow(cell);
      boolean found = switch (type) {
        case ROW -> filter.contains(row, 0, row.length, null);
        case ROWPREFIX_FIXED_LENGTH -> filter.contains(row, 0, Math.min(prefix, row.length), null);
        case ROWCOL -> filter.contains(PrivateCellUtil.createFirstOnRowCol(cell), null, BloomType.ROWCOL);
        default -> throw new IllegalStateException("a filter of type " + type);
      };
      if (!found) {
        findings.add("the Bloom filter denies " + cell);
      }
      boolean sameRow = last != null && CellUtil.matchingRows(last, cell);
      keys += sameRow && (type != BloomType.ROWCOL || CellUtil.matchingColumn(last, cell)) ? 0 : 1;
      last = cell;
    }
    if (type != BloomType.ROWPREFIX_FIXED_LENGTH) {
      findings.expect("keys of the Bloom filter", keys, filter.getKeyCount());
    }
    absent(filter, type, findings);
  }

  /** Checks that the filter denies most absent rows: a filter that admits all is useless. */
  private static void absent(BloomFilter filter, BloomType type, Findings findings) {
    if (type != BloomType.ROW || filter.getKeyCount() < 50) {
      return;
    }
    int found = 0;
    for (int i = 0; i < 1000; i++) {
      byte[] row = Bytes.toBytes("row0" + i + "absent");
      found += filter.contains(row, 0, row.length, null) ? 1 : 0;
    }
    if (found > 100) {
      findings.add("the Bloom filter has " + found + " of 1000 rows that are not there");
    }
  }

  static void deletedRows(BloomFilter filter, boolean mayLack, List<KeyValue> cells, Findings findings) {
    boolean any = false;
    for (KeyValue cell : cells) {
      KeyValue.Type type = KeyValue.Type.codeToType(cell.getTypeByte());
      if (type != KeyValue.Type.DeleteFamily && type != KeyValue.Type.DeleteFamilyVersion) {
        continue;
      }
      any = true;
      byte[] row = CellUtil.cloneRow(cell);
      if (filter != null && !filter.contains(row, 0, row.length, null)) {
        findings.add("the delete-family Bloom filter denies " + cell);
      }
    }
    if (!mayLack) {
      findings.expect("has a delete-family Bloom filter", any, filter != null);
    }
  }
}
