package hregion.oracle;

import java.io.DataInput;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.MetaCellComparator;
import org.apache.hadoop.hbase.io.hfile.CompoundBloomFilter;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.util.BloomFilter;
import org.apache.hadoop.hbase.util.BloomFilterFactory;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** Checks that the filters have every key, and measures the rate of false positives. */
final class BloomCheck {
  private static final double SLACK = 0.02;

  private final Findings findings;
  private final BloomFilter general;
  private final BloomFilter deleteFamily;
  private final BloomType type;
  private final int prefix;
  private final byte[] storedLast;
  private final boolean metaOrder;
  private final Random random = new Random(1);

  private byte[] lastKey;
  private byte[] lastDeleteRow;
  private KeyValue lastColumn;
  private long keys;
  private long deleteKeys;
  private long missing;
  private long missingDeletes;
  private long probes;
  private long positives;

  BloomCheck(HFile.Reader reader, Map<byte[], byte[]> info, Findings findings)
    throws IOException {
    this.findings = findings;
    metaOrder = reader.getComparator() instanceof MetaCellComparator;
    byte[] name = info.get(Bytes.toBytes("BLOOM_FILTER_TYPE"));
    type = name == null ? BloomType.NONE : BloomType.valueOf(Bytes.toString(name));
    byte[] param = info.get(Bytes.toBytes("BLOOM_FILTER_PARAM"));
    prefix = param == null ? 0 : Bytes.toInt(param);
    storedLast = info.get(Bytes.toBytes("LAST_BLOOM_KEY"));
    general = load(reader.getGeneralBloomFilterMetadata(), reader);
    deleteFamily = load(reader.getDeleteBloomFilterMetadata(), reader);
    if ((general == null) != (type == BloomType.NONE) && reader.getEntries() > 0) {
      findings.add("BLOOM_FILTER_TYPE " + type + ", filter " + (general == null ? "absent" : "present"));
    }
    if (type == BloomType.ROWPREFIX_FIXED_LENGTH && prefix <= 0) {
      findings.add("BLOOM_FILTER_PARAM missing");
    }
  }

  private static BloomFilter load(DataInput meta, HFile.Reader reader) throws IOException {
    return meta == null ? null : BloomFilterFactory.createFromMeta(meta, reader);
  }

  void add(Cell cell) {
    if (general != null) {
      addGeneral(cell);
    }
    byte code = cell.getTypeByte();
    boolean familyDelete = code == KeyValue.Type.DeleteFamily.getCode()
      || code == KeyValue.Type.DeleteFamilyVersion.getCode();
    if (familyDelete) {
      byte[] row = CellUtil.cloneRow(cell);
      if (!Arrays.equals(row, lastDeleteRow)) {
        lastDeleteRow = row;
        deleteKeys++;
        if (deleteFamily != null && !deleteFamily.contains(row, 0, row.length, null)) {
          missingDeletes++;
        }
      }
    }
  }

  private void addGeneral(Cell cell) {
    if (type == BloomType.ROWCOL) {
      if (lastColumn != null && CellUtil.matchingRows(lastColumn, cell)
        && CellUtil.matchingQualifier(lastColumn, cell)) {
        return;
      }
      lastColumn = new KeyValue(CellUtil.cloneRow(cell), new byte[0],
        CellUtil.cloneQualifier(cell), HConstants.LATEST_TIMESTAMP, KeyValue.Type.Maximum);
      lastKey = lastColumn.getKey();
      keys++;
      missing += general.contains(lastColumn, null, BloomType.ROWCOL) ? 0 : 1;
      probeColumn(cell);
      return;
    }
    byte[] row = CellUtil.cloneRow(cell);
    byte[] key = type == BloomType.ROW ? row : Arrays.copyOf(row, Math.min(prefix, row.length));
    if (Arrays.equals(key, lastKey)) {
      return;
    }
    lastKey = key;
    keys++;
    missing += general.contains(key, 0, key.length, null) ? 0 : 1;
    if (probes < 20000) {
      byte[] stranger = stranger(key);
      probes++;
      positives += general.contains(stranger, 0, stranger.length, null) ? 1 : 0;
    }
  }

  private void probeColumn(Cell cell) {
    if (probes >= 20000) {
      return;
    }
    Cell stranger = new KeyValue(CellUtil.cloneRow(cell), new byte[0],
      stranger(CellUtil.cloneQualifier(cell)), HConstants.LATEST_TIMESTAMP, KeyValue.Type.Maximum);
    probes++;
    positives += general.contains(stranger, null, BloomType.ROWCOL) ? 1 : 0;
  }

  /** Appends 8 random bytes to a key: the result sorts after it and is not in the file. */
  private byte[] stranger(byte[] key) {
    byte[] out = Arrays.copyOf(key, key.length + 8);
    for (int i = key.length; i < out.length; i++) {
      out[i] = (byte) random.nextInt();
    }
    return out;
  }

  /** Returns the rate of false positives expected of the numbers of keys, bits and hashes. */
  private double expectedRate() {
    int hashes = ((CompoundBloomFilter) general).getHashCount();
    double fill = 1 - Math.exp(-(double) hashes * keys / (8.0 * general.getByteSize()));
    return Math.pow(fill, hashes);
  }

  JsonObject finish(long familyDeletes) {
    JsonObject o = new JsonObject();
    o.addProperty("type", type.name());
    if (general != null) {
      String lost = missing + " keys missing in the general filter";
      if (metaOrder && type != BloomType.ROWCOL) {
        // HBase searches row filters by raw bytes, even if the file has the order of hbase:meta
        o.addProperty("note", lost + " of a meta file");
      } else {
        findings.addIf(missing > 0, lost);
      }
      findings.addIf(general.getKeyCount() != keys,
        "Bloom key count " + general.getKeyCount() + ", counted " + keys);
      findings.addIf(storedLast == null || !Arrays.equals(storedLast, lastKey),
        "LAST_BLOOM_KEY is not the last key");
      double rate = probes == 0 ? 0 : (double) positives / probes;
      double expected = expectedRate();
      findings.addIf(probes > 200 && rate > 2 * expected + SLACK,
        "false positive rate " + rate + ", should be near " + expected);
      o.addProperty("keys", keys);
      o.addProperty("false_positives", rate);
      o.addProperty("expected_false_positives", expected);
      o.addProperty("bytes", general.getByteSize());
    }
    if (deleteFamily != null) {
      findings.addIf(missingDeletes > 0, missingDeletes + " rows missing in the delete filter");
      findings.addIf(deleteFamily.getKeyCount() != deleteKeys,
        "delete filter key count " + deleteFamily.getKeyCount() + ", counted " + deleteKeys);
      o.addProperty("delete_keys", deleteKeys);
    } else if (familyDeletes > 0 && type != BloomType.ROWCOL) {
      o.addProperty("note", "family deletes without a delete-family filter");
    }
    return o;
  }
}
