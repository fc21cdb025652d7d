package org.hregion.interop;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.filter.BigDecimalComparator;
import org.apache.hadoop.hbase.filter.BinaryComparator;
import org.apache.hadoop.hbase.filter.BinaryComponentComparator;
import org.apache.hadoop.hbase.filter.BinaryPrefixComparator;
import org.apache.hadoop.hbase.filter.BitComparator;
import org.apache.hadoop.hbase.filter.ByteArrayComparable;
import org.apache.hadoop.hbase.filter.ColumnCountGetFilter;
import org.apache.hadoop.hbase.filter.ColumnPaginationFilter;
import org.apache.hadoop.hbase.filter.ColumnPrefixFilter;
import org.apache.hadoop.hbase.filter.ColumnRangeFilter;
import org.apache.hadoop.hbase.filter.ColumnValueFilter;
import org.apache.hadoop.hbase.filter.DependentColumnFilter;
import org.apache.hadoop.hbase.filter.FamilyFilter;
import org.apache.hadoop.hbase.filter.Filter;
import org.apache.hadoop.hbase.filter.FilterList;
import org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter;
import org.apache.hadoop.hbase.filter.FuzzyRowFilter;
import org.apache.hadoop.hbase.filter.InclusiveStopFilter;
import org.apache.hadoop.hbase.filter.KeyOnlyFilter;
import org.apache.hadoop.hbase.filter.LongComparator;
import org.apache.hadoop.hbase.filter.MultiRowRangeFilter;
import org.apache.hadoop.hbase.filter.MultiRowRangeFilter.RowRange;
import org.apache.hadoop.hbase.filter.MultipleColumnPrefixFilter;
import org.apache.hadoop.hbase.filter.NullComparator;
import org.apache.hadoop.hbase.filter.PageFilter;
import org.apache.hadoop.hbase.filter.PrefixFilter;
import org.apache.hadoop.hbase.filter.QualifierFilter;
import org.apache.hadoop.hbase.filter.RandomRowFilter;
import org.apache.hadoop.hbase.filter.RegexStringComparator;
import org.apache.hadoop.hbase.filter.RowFilter;
import org.apache.hadoop.hbase.filter.SingleColumnValueExcludeFilter;
import org.apache.hadoop.hbase.filter.SingleColumnValueFilter;
import org.apache.hadoop.hbase.filter.SkipFilter;
import org.apache.hadoop.hbase.filter.SubstringComparator;
import org.apache.hadoop.hbase.filter.TimestampsFilter;
import org.apache.hadoop.hbase.filter.ValueFilter;
import org.apache.hadoop.hbase.filter.WhileMatchFilter;
import org.apache.hadoop.hbase.shaded.protobuf.ProtobufUtil;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.Pair;

/**
 * Prints filters as clients send them: a name, a tab, and the message in hexadecimal digits. The meanings of
 * the names are in src/filter/proto/tests.rs. With an argument, reads such lines from that file instead, and
 * prints each filter as HBase writes it after reading it.
 */
public final class FilterBytes {
  public static void main(String[] args) throws Exception {
    if (args.length > 0) {
      for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of(args[0]))) {
        String[] parts = line.split("\t");
        byte[] bytes = HexFormat.of().parseHex(parts[1]);
        Filter filter =
            ProtobufUtil.toFilter(org.apache.hadoop.hbase.shaded.protobuf.generated.FilterProtos.Filter.parseFrom(bytes));
        print(parts[0], filter);
      }
      return;
    }
    comparators();
    simple();
    columns();
    rows();
    lists();
  }

  private static void print(String name, Filter filter) throws Exception {
    byte[] bytes = ProtobufUtil.toFilter(filter).toByteArray();
    System.out.println(name + "\t" + HexFormat.of().formatHex(bytes));
  }

  private static byte[] b(String text) {
    return Bytes.toBytes(text);
  }

  private static void comparators() throws Exception {
    value("binary", new BinaryComparator(b("v\u0000")));
    value("binary-empty", new BinaryComparator(new byte[0]));
    value("binary-prefix", new BinaryPrefixComparator(b("ab")));
    value("binary-component", new BinaryComponentComparator(b("ab"), 300));
    value("bit-and", new BitComparator(new byte[] {1, -1}, BitComparator.BitwiseOp.AND));
    value("bit-or", new BitComparator(new byte[] {1}, BitComparator.BitwiseOp.OR));
    value("bit-xor", new BitComparator(new byte[] {1}, BitComparator.BitwiseOp.XOR));
    value("long", new LongComparator(-5));
    value("decimal", new BigDecimalComparator(new BigDecimal("-1234567890123456789012.50")));
    value("decimal-zero", new BigDecimalComparator(new BigDecimal("0")));
    value("decimal-128", new BigDecimalComparator(new BigDecimal("128")));
    value("decimal-minus-128", new BigDecimalComparator(new BigDecimal("-128E3")));
    value("null", new NullComparator());
    value("substring", new SubstringComparator("ADA"));
    value("regex", new RegexStringComparator("^a.[0-9]+$"));
    value("regex-no-case", new RegexStringComparator("ab", Pattern.CASE_INSENSITIVE | Pattern.DOTALL));
    value("regex-no-dotall", new RegexStringComparator("a.b", 0));
  }

  private static void value(String name, ByteArrayComparable comparator) throws Exception {
    print("value-" + name, new ValueFilter(CompareOperator.EQUAL, comparator));
  }

  private static void simple() throws Exception {
    for (CompareOperator operator : CompareOperator.values()) {
      print("row-" + operator, new RowFilter(operator, new BinaryComparator(b("r"))));
    }
    print("family", new FamilyFilter(CompareOperator.NOT_EQUAL, new BinaryComparator(b("f"))));
    print("qualifier", new QualifierFilter(CompareOperator.LESS, new BinaryComparator(b("q"))));
    print("prefix", new PrefixFilter(b("pre")));
    print("inclusive-stop", new InclusiveStopFilter(b("stop")));
    print("page", new PageFilter(1L << 40));
    print("column-count", new ColumnCountGetFilter(7));
    print("column-pagination", new ColumnPaginationFilter(3, 2));
    print("column-page", new ColumnPaginationFilter(3, b("from")));
    print("first-key-only", new FirstKeyOnlyFilter());
    print("key-only", new KeyOnlyFilter());
    print("key-only-len", new KeyOnlyFilter(true));
    print("timestamps", new TimestampsFilter(Arrays.asList(300L, 5L, 70000000000L)));
    print("timestamps-hint", new TimestampsFilter(List.of(5L), true));
    print("random-row", new RandomRowFilter(0.25f));
    if (org.apache.hadoop.hbase.util.VersionInfo.getVersion().startsWith("2.")) {
      TreeSet<byte[]> qualifiers = new TreeSet<>(Bytes.BYTES_COMPARATOR);
      qualifiers.add(b("q2"));
      qualifiers.add(b("q1"));
      // removed in 3.0
      Class<?> old = Class.forName("org.apache.hadoop.hbase.filter.FirstKeyValueMatchingQualifiersFilter");
      print("first-key-matching", (Filter) old.getConstructor(java.util.Set.class).newInstance(qualifiers));
    }
  }

  private static void columns() throws Exception {
    BinaryComparator v = new BinaryComparator(b("v"));
    print("dependent-column", new DependentColumnFilter(b("f"), b("q")));
    print("dependent-column-drop", new DependentColumnFilter(b("f"), b("q"), true, CompareOperator.GREATER, v));
    print("single-column-value", new SingleColumnValueFilter(b("f"), b("q"), CompareOperator.EQUAL, b("v")));
    SingleColumnValueFilter set = new SingleColumnValueFilter(b("f"), b("q"), CompareOperator.EQUAL, b("v"));
    set.setFilterIfMissing(true);
    set.setLatestVersionOnly(false);
    print("single-column-value-set", set);
    print("single-column-value-exclude", new SingleColumnValueExcludeFilter(b("f"), b("q"), CompareOperator.EQUAL, b("v")));
    print("column-value", new ColumnValueFilter(b("f"), b("q"), CompareOperator.LESS_OR_EQUAL, v));
    print("column-prefix", new ColumnPrefixFilter(b("p")));
    print("column-prefixes", new MultipleColumnPrefixFilter(new byte[][] {b("b"), b("a"), b("ab")}));
    print("column-range", new ColumnRangeFilter(b("a"), true, b("c"), false));
    print("column-range-open", new ColumnRangeFilter(null, false, null, true));
  }

  private static void rows() throws Exception {
    List<Pair<byte[], byte[]>> keys = new ArrayList<>();
    keys.add(new Pair<>(b("ab?d"), new byte[] {0, 0, 1, 0}));
    keys.add(new Pair<>(b("x"), new byte[] {0}));
    keys.add(new Pair<>(b("y"), new byte[] {1}));
    print("fuzzy-row", new FuzzyRowFilter(keys));
    print("row-ranges", new MultiRowRangeFilter(Arrays.asList(
        new RowRange(b("m"), false, b("p"), true),
        new RowRange(b("a"), true, b("c"), false),
        new RowRange(b("b"), true, b("d"), true),
        new RowRange(b("x"), true, new byte[0], false))));
    print("row-ranges-open", new MultiRowRangeFilter(Arrays.asList(new RowRange(new byte[0], true, b("c"), false))));
    print("row-prefixes", new MultiRowRangeFilter(new byte[][] {b("k"), {-1}, {'a', -1}}));
  }

  private static void lists() throws Exception {
    Filter page = new PageFilter(1);
    print("skip", new SkipFilter(new ValueFilter(CompareOperator.NOT_EQUAL, new BinaryComparator(b("")))));
    print("while-match", new WhileMatchFilter(page));
    print("list-and", new FilterList(FilterList.Operator.MUST_PASS_ALL, page, new KeyOnlyFilter()));
    print("list-or", new FilterList(FilterList.Operator.MUST_PASS_ONE, page, new FilterList(page)));
    print("list-empty", new FilterList(FilterList.Operator.MUST_PASS_ONE));
  }
}
