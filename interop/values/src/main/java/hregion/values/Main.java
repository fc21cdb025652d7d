package hregion.values;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.Order;
import org.apache.hadoop.hbase.util.OrderedBytes;
import org.apache.hadoop.hbase.util.PositionedByteRange;
import org.apache.hadoop.hbase.util.SimplePositionedMutableByteRange;

/** Prints values as HBase encodes them. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    Random random = new Random(1);
    long[] longs = new long[40];
    for (int i = 0; i < longs.length; i++) {
      longs[i] = random.nextLong() >> random.nextInt(64);
    }
    longs[0] = 0;
    longs[1] = Long.MAX_VALUE;
    longs[2] = Long.MIN_VALUE;
    longs[3] = -1;
    for (long value : longs) {
      line("long", value, Bytes.toBytes(value));
      line("int", (int) value, Bytes.toBytes((int) value));
      line("short", (short) value, Bytes.toBytes((short) value));
      line("byte", (byte) value, new byte[] {(byte) value});
      ordered("ordered-int64", value, (range, order) -> OrderedBytes.encodeInt64(range, value, order));
      ordered("ordered-int32", (int) value, (range, order) -> OrderedBytes.encodeInt32(range, (int) value, order));
      ordered("ordered-int16", (short) value,
        (range, order) -> OrderedBytes.encodeInt16(range, (short) value, order));
      ordered("ordered-int8", (byte) value, (range, order) -> OrderedBytes.encodeInt8(range, (byte) value, order));
    }
    for (boolean value : new boolean[] {true, false}) {
      line("boolean", value, Bytes.toBytes(value));
    }
    List<Double> doubles = Arrays.asList(0.0, -0.0, 1.5, -1.5, Double.MIN_VALUE, Double.MAX_VALUE, -1e-300,
      Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 3.14159, -2.71828e20);
    for (double value : doubles) {
      line("double", value, Bytes.toBytes(value));
      line("float", (float) value, Bytes.toBytes((float) value));
      ordered("ordered-float64", value, (range, order) -> OrderedBytes.encodeFloat64(range, value, order));
      ordered("ordered-float32", (float) value,
        (range, order) -> OrderedBytes.encodeFloat32(range, (float) value, order));
    }
    for (int i = 0; i < 120; i++) {
      String digits = i % 3 == 0 ? Long.toString(random.nextLong() >> random.nextInt(64))
        : new java.math.BigInteger(random.nextInt(60) + 1, random).toString();
      BigDecimal value = new BigDecimal(digits).movePointLeft(random.nextInt(16));
      if (i == 0) {
        value = BigDecimal.ZERO;
      }
      if (i % 5 == 1) {
        value = value.negate();
      }
      if (i % 7 == 2) {
        value = new BigDecimal(digits).scaleByPowerOfTen(random.nextInt(6));
      }
      BigDecimal shown = value;
      line("decimal(38.16)", value.toPlainString(), Bytes.toBytes(value));
      ordered("ordered-numeric(38.16)", value.toPlainString(),
        (range, order) -> OrderedBytes.encodeNumeric(range, shown, order));
    }
    for (String value : new String[] {"", "a", "hregion", "\u00e4\u00f6\u00fc \u4e2d\u6587", "a\tb".replace('\t', ' ')}) {
      line("utf8", value, Bytes.toBytes(value));
      ordered("ordered-text", value, (range, order) -> OrderedBytes.encodeString(range, value, order));
    }
    for (int length = 0; length < 24; length++) {
      byte[] value = new byte[length];
      random.nextBytes(value);
      if (length == 9) {
        Arrays.fill(value, (byte) 0xff);
      }
      ordered("ordered-blob", hex(value), (range, order) -> OrderedBytes.encodeBlobVar(range, value, order));
      for (int i = 0; i < length; i++) {
        value[i] |= 1; // a copied blob in descending order has no zero
      }
      ordered("ordered-blob-copy", hex(value), (range, order) -> OrderedBytes.encodeBlobCopy(range, value, order));
    }
    ordered("ordered-int64", "null", (range, order) -> OrderedBytes.encodeNull(range, order));
    ordered("ordered-text", "null", (range, order) -> OrderedBytes.encodeNull(range, order));
  }

  private interface Encode {
    void apply(PositionedByteRange range, Order order);
  }

  private static void ordered(String type, Object value, Encode encode) {
    for (Order order : Order.values()) {
      PositionedByteRange range = new SimplePositionedMutableByteRange(256);
      encode.apply(range, order);
      line(type, value, Arrays.copyOf(range.getBytes(), range.getPosition()));
    }
  }

  private static void line(String type, Object value, byte[] bytes) {
    System.out.println(type + "\t" + value + "\t" + hex(bytes));
  }

  private static String hex(byte[] bytes) {
    StringBuilder out = new StringBuilder();
    for (byte b : bytes) {
      out.append(String.format("%02x", b));
    }
    return out.toString();
  }
}
