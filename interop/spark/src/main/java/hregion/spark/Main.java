package hregion.spark;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.io.ImmutableBytesWritable;
import org.apache.hadoop.hbase.mapreduce.TableInputFormat;
import org.apache.hadoop.hbase.mapreduce.TableMapReduceUtil;
import org.apache.hadoop.hbase.mapreduce.TableSnapshotInputFormat;
import org.apache.hadoop.mapreduce.Job;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Sums over the same cells, from a snapshot through HBase's input format and from an export. */
public final class Main {
  private static final String USAGE = "usage: hb-spark ROOT SNAPSHOT EXPORT PASSES";

  public static void main(String[] args) throws Exception {
    if (args.length != 4) {
      System.err.println(USAGE);
      System.exit(2);
    }
    int passes = Math.max(1, Integer.parseInt(args[3]));
    try (SparkSession spark = SparkSession.builder().master("local[*]").appName("hb-spark")
        // HBase's splits report no bytes, so Spark would omit them.
        .config("spark.hadoopRDD.ignoreEmptySplits", false)
        .config("spark.ui.enabled", false).config("spark.sql.session.timeZone", "UTC").getOrCreate()) {
      List<Double> snapshots = new ArrayList<>();
      List<Double> exports = new ArrayList<>();
      // The first pass compiles, and is not counted.
      for (int pass = 0; pass <= passes; pass++) {
        long start = System.nanoTime();
        Sums snapshot = ofSnapshot(spark, args[0], args[1]);
        long between = System.nanoTime();
        Sums export = ofExport(spark, args[2]);
        long end = System.nanoTime();
        if (!snapshot.equals(export)) {
          throw new IllegalStateException("the snapshot has " + snapshot + ", the export " + export);
        }
        if (pass > 0) {
          snapshots.add((between - start) / 1e9);
          exports.add((end - between) / 1e9);
        }
        System.out.printf("%s: snapshot %.2f s, export %.2f s%n", snapshot, (between - start) / 1e9,
            (end - between) / 1e9);
      }
      System.out.printf("median: snapshot %.2f s, export %.2f s, ratio %.1f%n", median(snapshots),
          median(exports), median(snapshots) / median(exports));
    }
  }

  private static double median(List<Double> seconds) {
    double[] sorted = seconds.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    return sorted[sorted.length / 2];
  }

  /** The values on which both must agree: the number of cells, their bytes, and their checksums. */
  record Sums(long cells, long rowBytes, long valueBytes, long checksums) implements java.io.Serializable {
    Sums plus(Sums other) {
      return new Sums(cells + other.cells, rowBytes + other.rowBytes, valueBytes + other.valueBytes,
          checksums + other.checksums);
    }
  }

  private static Sums ofSnapshot(SparkSession spark, String root, String snapshot) throws Exception {
    Configuration conf = HBaseConfiguration.create();
    String url = Path.of(root).toAbsolutePath().toUri().toString();
    conf.set("hbase.rootdir", url);
    conf.set("fs.defaultFS", "file:///");
    conf.set(TableInputFormat.SCAN, TableMapReduceUtil.convertScanToString(new Scan().setCacheBlocks(false)));
    Job job = Job.getInstance(conf);
    Path scratch = Files.createTempDirectory("hb-spark");
    TableSnapshotInputFormat.setInput(job, snapshot, new org.apache.hadoop.fs.Path(scratch.toUri()));
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    return context
        .newAPIHadoopRDD(job.getConfiguration(), TableSnapshotInputFormat.class, ImmutableBytesWritable.class,
            Result.class)
        .map(pair -> ofResult(pair._2)).fold(new Sums(0, 0, 0, 0), Sums::plus);
  }

  private static Sums ofResult(Result result) {
    Sums sums = new Sums(0, 0, 0, 0);
    for (Cell cell : result.rawCells()) {
      CRC32 crc = new CRC32();
      crc.update(cell.getValueArray(), cell.getValueOffset(), cell.getValueLength());
      sums = sums.plus(new Sums(1, cell.getRowLength(), cell.getValueLength(), crc.getValue()));
    }
    return sums;
  }

  private static Sums ofExport(SparkSession spark, String export) {
    Row row = spark.read().option("pathGlobFilter", "*.parquet").parquet(export)
        .selectExpr("count(*)", "coalesce(sum(length(row)), 0)", "coalesce(sum(length(value)), 0)",
            "coalesce(sum(crc32(value)), 0)")
        .first();
    return new Sums(row.getLong(0), row.getLong(1), row.getLong(2), row.getLong(3));
  }
}
