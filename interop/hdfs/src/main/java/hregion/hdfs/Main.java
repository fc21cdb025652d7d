package hregion.hdfs;

import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** HDFS with copies of local directories, until standard input ends. Prints its URL when they are there. */
public final class Main {
  private Main() {}

  public static void main(String[] args) throws Exception {
    var conf = new Configuration();
    conf.setInt("dfs.replication", 1);
    // Small files have several blocks, too.
    conf.setInt("dfs.heartbeat.interval", 1);
    conf.setLong("dfs.blocksize", 1 << 20);
    conf.setLong("dfs.namenode.fs-limits.min-block-size", 1 << 20);
    var cluster = new MiniDFSCluster.Builder(conf, new File(args[0])).numDataNodes(1).build();
    try {
      cluster.waitActive();
      FileSystem to = cluster.getFileSystem();
      // The one with checksums would hide files with names of its own.
      FileSystem from = new RawLocalFileSystem();
      from.initialize(new File("/").toURI(), conf);
      for (int i = 1; i < args.length; i++) {
        String[] parts = args[i].split("=", 2);
        var source = new Path(new File(parts[1]).getCanonicalPath());
        FileUtil.copy(from, source, to, new Path("/" + parts[0]), false, conf);
      }
      System.out.println(to.getUri());
      System.out.flush();
      while (System.in.read() >= 0) {}
    } finally {
      cluster.shutdown(true);
    }
  }
}
