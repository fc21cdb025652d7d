package org.hregion.peers;

import java.nio.ByteBuffer;
import org.apache.hadoop.hbase.ByteBufferExtendedCell;
import org.apache.hadoop.hbase.Cell;

/** Reads bytes of cells without copying them, on the heap or off it. */
final class Cells {
  private Cells() {
  }

  static long value(Cell c) {
    if (c instanceof ByteBufferExtendedCell b) {
      return touch(b.getValueByteBuffer(), b.getValuePosition(), c.getValueLength());
    }
    return Bench.touch(c.getValueArray(), c.getValueOffset(), c.getValueLength());
  }

  static long rowAndValue(Cell c) {
    if (c instanceof ByteBufferExtendedCell b) {
      return touch(b.getRowByteBuffer(), b.getRowPosition(), c.getRowLength()) ^ value(c);
    }
    return Bench.touch(c.getRowArray(), c.getRowOffset(), c.getRowLength()) ^ value(c);
  }

  private static long touch(ByteBuffer b, int off, int len) {
    long x = len == 0 ? 0 : b.get(off + len - 1) & 0xff;
    return len >= 8 ? x ^ b.getLong(off) : x;
  }
}
