package hregion.oracle;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellComparator;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.KeyValueUtil;
import org.apache.hadoop.hbase.PrivateCellUtil;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;

/**
 * Seeks to sampled keys, to gaps before them, and backwards. Avoids two faults of HBase's seekers:
 * with ROW_INDEX_V1, seekBefore fails inside the first row of a block; with compressed tags, a seeker
 * that moved back returns the tags of the next cell.
 */
final class SeekCheck {
  private static final int SAMPLES = 1000;
  private static final int BACKWARDS = 20000;

  /** A key, and the cell before it. */
  private record Sample(KeyValue before, KeyValue cell) {
  }

  private final Findings findings;
  private final CellComparator order;
  private final long stride;
  private final List<Sample> samples = new ArrayList<>();
  private final boolean rowIndex;
  private KeyValue previous;
  private long index;
  long seeks;

  SeekCheck(HFile.Reader reader, Findings findings) {
    this.findings = findings;
    this.order = reader.getComparator();
    this.rowIndex = reader.getDataBlockEncoding() == DataBlockEncoding.ROW_INDEX_V1;
    long entries = reader.getEntries();
    this.stride = Math.max(1, entries / SAMPLES);
  }

  /** Samples keys; of equal keys only the first. */
  void add(Cell cell) {
    boolean fresh = previous == null || order.compare(previous, cell, true) < 0;
    boolean wanted = index++ % stride == 0;
    if (!fresh && !wanted) {
      previous = KeyValueUtil.copyToNewKeyValue(cell);
      return;
    }
    KeyValue copy = KeyValueUtil.copyToNewKeyValue(cell);
    if (fresh && wanted) {
      samples.add(new Sample(previous, copy));
    }
    previous = copy;
  }

  void run(HFile.Reader reader, Configuration conf, boolean cache, boolean pread)
    throws IOException {
    try (HFileScanner scanner = reader.getScanner(conf, cache, pread, false);
      HFileScanner forward = reader.getScanner(conf, cache, pread, false)) {
      boolean started = samples.size() > 0 && forward.seekTo();
      for (Sample s : samples) {
        exact(scanner, s);
        for (KeyValue gap : gaps(s)) {
          gap(scanner, s, gap);
        }
        back(scanner, s);
        if (started) {
          expect("reseekTo", s.cell, forward.reseekTo(CellStats.key(s.cell)), 0, s.cell, forward);
        }
        if (findings.list.size() > 30) {
          return;
        }
      }
      if (previous != null) {
        backwards(scanner);
      }
    }
  }

  private void exact(HFileScanner scanner, Sample s) throws IOException {
    expect("seekTo", s.cell, scanner.seekTo(CellStats.key(s.cell)), 0, s.cell, scanner);
  }

  /** Returns keys between a cell and the previous one. */
  private List<KeyValue> gaps(Sample s) {
    List<KeyValue> gaps = new ArrayList<>();
    if (s.before != null) {
      addGap(gaps, s, key(s.before, CellUtil.cloneFamily(s.before),
        CellUtil.cloneQualifier(s.before), s.before.getTimestamp(), KeyValue.Type.Minimum));
    }
    addGap(gaps, s, firstOnRow(s.cell));
    addGap(gaps, s, key(s.cell, CellUtil.cloneFamily(s.cell), CellUtil.cloneQualifier(s.cell),
      HConstants.LATEST_TIMESTAMP, KeyValue.Type.Maximum));
    return gaps;
  }

  private void addGap(List<KeyValue> gaps, Sample s, KeyValue key) {
    boolean after = s.before == null || order.compare(s.before, key, true) < 0;
    if (after && order.compare(key, s.cell, true) < 0) {
      gaps.add(key);
    }
  }

  private static KeyValue firstOnRow(Cell cell) {
    return key(cell, new byte[0], new byte[0], HConstants.LATEST_TIMESTAMP, KeyValue.Type.Maximum);
  }

  private static KeyValue key(Cell cell, byte[] family, byte[] qualifier, long ts,
    KeyValue.Type type) {
    return new KeyValue(CellUtil.cloneRow(cell), family, qualifier, Math.max(ts, 0), type);
  }

  private void gap(HFileScanner scanner, Sample s, KeyValue gap) throws IOException {
    int code = scanner.seekTo(gap);
    seeks++;
    if (s.before == null) {
      findings.addIf(code != -1, "seekTo before the first cell gives " + code);
    } else if (code == 1) {
      checkPosition("gap", gap, s.before, scanner, false);
      findings.addIf(!scanner.next(), "no cell after " + gap);
      checkPosition("next of gap", gap, s.cell, scanner, true);
    } else if (code == -2) {
      checkPosition("gap in shortened index key", gap, s.cell, scanner, true);
    } else {
      findings.add("seekTo a gap gives " + code + " at " + gap);
    }
  }

  private void back(HFileScanner scanner, Sample s) throws IOException {
    if (rowIndex && s.before != null && CellUtil.matchingRows(s.before, s.cell)) {
      return;
    }
    boolean found = scanner.seekBefore(CellStats.key(s.cell));
    seeks++;
    findings.addIf(found != (s.before != null), "seekBefore gives " + found + " at " + s.cell);
    if (found && s.before != null) {
      checkPosition("seekBefore", s.cell, s.before, scanner, false);
    }
  }

  /** Steps from the end to the start with seekBefore. */
  private void backwards(HFileScanner scanner) throws IOException {
    KeyValue at = previous;
    for (int steps = 0; steps < BACKWARDS; steps++) {
      KeyValue key = rowIndex ? firstOnRow(at) : CellStats.key(at);
      if (!scanner.seekBefore(key)) {
        KeyValue first = samples.isEmpty() ? at : samples.get(0).cell;
        boolean wrong = rowIndex
          ? !CellUtil.matchingRows(at, first)
          : order.compare(at, first, true) != 0;
        findings.addIf(wrong, "backwards stops at " + at);
        return;
      }
      seeks++;
      KeyValue earlier = CellStats.key(scanner.getCell());
      if (order.compare(earlier, at, true) >= 0) {
        findings.add("seekBefore does not go back at " + at);
        return;
      }
      at = earlier;
    }
  }

  private void expect(String what, Cell key, int code, int wanted, KeyValue cell,
    HFileScanner scanner) throws IOException {
    seeks++;
    if (code != wanted) {
      findings.add(what + " gives " + code + " at " + key);
    } else {
      checkPosition(what, key, cell, scanner, true);
    }
  }

  private void checkPosition(String what, Cell key, KeyValue wanted, HFileScanner scanner,
    boolean withTags) {
    Cell cell = scanner.getCell();
    boolean same = cell != null && order.compare(cell, wanted, true) == 0
      && cell.getSequenceId() == wanted.getSequenceId() && CellUtil.matchingValue(cell, wanted)
      && (!withTags || PrivateCellUtil.matchingTags(cell, wanted, cell.getTagsLength(),
        wanted.getTagsLength()));
    findings.addIf(!same, what + " at " + key + " is positioned at " + cell + ", not at " + wanted);
  }
}
