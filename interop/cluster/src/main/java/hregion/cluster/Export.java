package hregion.cluster;

import java.io.File;
import java.nio.file.Files;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.snapshot.ExportSnapshot;
import org.apache.hadoop.util.ToolRunner;

/**
 * Copies a snapshot from one root directory to another, as {@code hbase snapshot export} does.
 *
 * <p>Usage: {@code Export FROM SNAPSHOT TO}. Needs no cluster: the job that copies the files runs in this process.
 */
final class Export {
  private Export() {}

  public static void main(String[] args) throws Exception {
    if (args.length != 3) {
      System.err.println("usage: Export FROM SNAPSHOT TO");
      System.exit(2);
    }
    String from = new File(args[0]).toURI().toString();
    String to = new File(args[2]).toURI().toString();
    Configuration conf = HBaseConfiguration.create();
    conf.set("hbase.rootdir", from);
    conf.set("mapreduce.framework.name", "local");
    // Files of the job.
    File temporary = Files.createTempDirectory("export").toFile();
    conf.set("hadoop.tmp.dir", temporary.getPath());
    // Local files have no checksums to compare.
    String[] options = {
      "-snapshot", args[1], "-copy-from", from, "-copy-to", to, "-mappers", "1", "-no-checksum-verify"
    };
    int code;
    try {
      code = ToolRunner.run(conf, new ExportSnapshot(), options);
    } finally {
      FileUtil.fullyDelete(temporary);
    }
    System.exit(code);
  }
}
