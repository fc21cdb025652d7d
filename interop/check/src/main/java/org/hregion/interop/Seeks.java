package org.hregion.interop;

import java.io.IOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.PrivateCellUtil;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.VersionInfo;

/** Seeks keys of the file and keys between them, forwards and backwards. */
final class Seeks {
  /** The approximate number of keys to seek. */
  private static final int KEYS = 300;

  private final HFile.Reader reader;
  private final Configuration conf;
  private final List<KeyValue> cells;
  private final Findings findings;
  private final boolean withSequenceIds;
  private final boolean tagsCompressed;
  private final boolean rowIndexed;

  Seeks(HFile.Reader reader, Configuration conf, List<KeyValue> cells, Findings findings) {
    this.reader = reader;
    this.conf = conf;
    this.cells = cells;
    this.findings = findings;
    withSequenceIds = reader.getHFileInfo().shouldIncludeMemStoreTS();
    byte[] compressed = reader.getHFileInfo().get(Bytes.toBytes("hfile.TAGS_COMPRESSED"));
    tagsCompressed = compressed != null && compressed[0] != 0;
    rowIndexed = reader.getDataBlockEncoding() == DataBlockEncoding.ROW_INDEX_V1;
  }

  static int compare(HFile.Reader reader, Cell a, Cell b) {
    return PrivateCellUtil.compareKeyIgnoresMvcc(reader.getComparator(), a, b);
  }

  void check() throws IOException {
    if (tagsCompressed && VersionInfo.getVersion().startsWith("3.0.0-alpha")) {
      return; // its seekers lose their position in compressed tags, also in its own files
    }
    HFileScanner scanner = Scanners.open(reader, conf);
    HFileScanner forward = Scanners.open(reader, conf);
    try {
      if (cells.isEmpty()) {
        findings.expect("seekTo in an empty file", false, scanner.seekTo());
        return;
      }
      forward.seekTo();
      int step = Math.max(1, cells.size() / KEYS);
      for (int i = 0; i < cells.size(); i += step) {
        int first = firstOf(i);
        exact(scanner, i, first);
        gap(scanner, i);
        before(scanner, i, first);
        if (first == i) {
          findings.expect("reseekTo cell " + i, 0, forward.reseekTo(key(i)));
          checkPosition("reseekTo cell " + i, forward, i);
        }
      }
      backwards(scanner);
    } finally {
      scanner.close();
      forward.close();
    }
  }

  /** Returns the first of the cells that are equal to cell {@code i} except for their sequence ids. */
  private int firstOf(int i) {
    int first = i;
    while (first > 0 && compare(reader, cells.get(first - 1), cells.get(i)) == 0) {
      first--;
    }
    return first;
  }

  private KeyValue key(int i) {
    KeyValue key = cells.get(i).createKeyOnly(false);
    key.setSequenceId(0);
    return key;
  }

  private void exact(HFileScanner scanner, int i, int first) throws IOException {
    findings.expect("seekTo cell " + i, 0, scanner.seekTo(key(i)));
    checkPosition("seekTo cell " + i, scanner, first);
  }

  /** Seeks a key that no cell has: in the column of cell {@code i}, before its newest version. */
  private void gap(HFileScanner scanner, int i) throws IOException {
    Cell key = PrivateCellUtil.createFirstOnRowCol(cells.get(i));
    int next = i;
    while (next > 0 && compare(reader, cells.get(next - 1), key) >= 0) {
      next--;
    }
    String what = "seekTo before the column of cell " + i;
    int code = scanner.seekTo(key);
    if (code == 1) {
      checkPosition(what, scanner, next - 1);
    } else if (code == HConstants.INDEX_KEY_MAGIC) {
      checkPosition(what, scanner, next);
    } else {
      findings.expect(what, next == 0 ? -1 : 1, code);
    }
  }

  private void before(HFileScanner scanner, int i, int first) throws IOException {
    boolean faulty = rowIndexed && first > 0 && CellUtil.matchingRows(cells.get(first - 1), cells.get(i));
    if (faulty) {
      return; // HBase's seekBefore is wrong within the first row of a block
    }
    boolean found = scanner.seekBefore(key(i));
    findings.expect("seekBefore cell " + i, first > 0, found);
    if (found) {
      checkPosition("seekBefore cell " + i, scanner, first - 1);
    }
  }

  /** Seeks before the last cell, then before the cell found, and so on. */
  private void backwards(HFileScanner scanner) throws IOException {
    int i = firstOf(cells.size() - 1);
    for (int n = 0; n < KEYS && i > 0; n++) {
      before(scanner, i, i);
      i = firstOf(i - 1);
    }
    findings.expect("seekBefore the first cell", false, scanner.seekBefore(key(0)));
  }

  private void checkPosition(String what, HFileScanner scanner, int i) {
    if (i < 0 || i >= cells.size()) {
      findings.add(what + ": at a position where no cell should be");
      return;
    }
    Cell found = scanner.getCell();
    // with compressed tags, a seeker that has moved backward returns the tags of the following cell
    boolean withTags = !tagsCompressed;
    String expected = Json.cell(cells.get(i), withSequenceIds, withTags);
    findings.expect(what, expected, found == null ? null : Json.cell(found, withSequenceIds, withTags));
  }
}
