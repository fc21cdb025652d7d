package hregion.hdfs;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/**
 * HDFS with copies of local directories, until standard input ends. Prints its URL when they are copied, and
 * then a line for each command that it has executed.
 */
public final class Main {
  private Main() {}

  public static void main(String[] args) throws Exception {
    int nodes = Integer.parseInt(args[0]);
    var conf = new Configuration();
    conf.setInt("dfs.replication", Math.min(nodes, 2));
    // So that small files also have several blocks.
    conf.setInt("dfs.heartbeat.interval", 1);
    conf.setLong("dfs.blocksize", 1 << 20);
    conf.setLong("dfs.namenode.fs-limits.min-block-size", 1 << 20);
    // A stopped data node soon gets no new blocks, and is not waited for.
    conf.setBoolean("dfs.namenode.avoid.write.stale.datanode", true);
    conf.setLong("dfs.namenode.stale.datanode.interval", 3000);
    conf.setInt("ipc.client.connect.max.retries", 2);
    conf.setInt("ipc.client.connect.retry.interval", 100);
    var cluster = new MiniDFSCluster.Builder(conf, new File(args[1])).numDataNodes(nodes).build();
    try {
      cluster.waitActive();
      FileSystem to = cluster.getFileSystem();
      // The file system with checksums would hide files with names like its own.
      FileSystem from = new RawLocalFileSystem();
      from.initialize(new File("/").toURI(), conf);
      for (int i = 2; i < args.length; i++) {
        String[] parts = args[i].split("=", 2);
        var source = new Path(new File(parts[1]).getCanonicalPath());
        FileUtil.copy(from, source, to, new Path("/" + parts[0]), false, conf);
      }
      answer(to.getUri().toString());
      obey(cluster);
    } finally {
      cluster.shutdown(true);
    }
  }

  private static void answer(String line) {
    System.out.println(line);
    System.out.flush();
  }

  /** Executes commands until standard input ends. */
  private static void obey(MiniDFSCluster cluster) throws Exception {
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    List<MiniDFSCluster.DataNodeProperties> stopped = new ArrayList<>();
    for (String line; (line = lines.readLine()) != null; ) {
      String[] words = line.split(" ", 3);
      switch (words[0]) {
        case "stop" -> {
          int node = nodeOf(cluster, words[2], Integer.parseInt(words[1]));
          stopped.add(cluster.stopDataNode(node));
        }
        case "restart" -> {
          for (MiniDFSCluster.DataNodeProperties node : stopped) {
            cluster.restartDataNode(node);
          }
          stopped.clear();
          cluster.waitActive();
        }
        case "restart-name-node" -> cluster.restartNameNode(true);
        default -> throw new IOException("not a command: " + line);
      }
      answer("done");
    }
  }

  /** Returns the index of a data node: the one at a position of those to which the last block of a file is written. */
  private static int nodeOf(MiniDFSCluster cluster, String path, int position) throws Exception {
    var block = cluster.getNamesystem().getFSDirectory().getINode(path).asFile().getLastBlock();
    var locations = block.getUnderConstructionFeature().getExpectedStorageLocations();
    String uuid = locations[position].getDatanodeDescriptor().getDatanodeUuid();
    var nodes = cluster.getDataNodes();
    for (int i = 0; i < nodes.size(); i++) {
      if (nodes.get(i).getDatanodeUuid().equals(uuid)) {
        return i;
      }
    }
    throw new IOException("no data node of " + path + " runs");
  }
}
