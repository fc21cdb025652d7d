package hregion.cluster;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HConstants;

/** Configuration of the cluster and of its clients, and their command-line arguments. */
final class Settings {
  private Settings() {
  }

  /** Returns the settings of every process: loopback, local files; hbase-site.xml has the codecs. */
  static Configuration base() {
    Configuration c = HBaseConfiguration.create();
    // Writes no checksum files, and a flush reaches the file, so that edits acknowledged before a kill
    // are in it.
    c.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem");
    c.setBoolean("hbase.unsafe.stream.capability.enforce", false);
    c.set(HConstants.ZOOKEEPER_QUORUM, "127.0.0.1");
    c.setInt("hfile.format.version", 3);
    return c;
  }

  static Configuration server(File root) {
    Configuration c = base();
    c.set(HConstants.HBASE_DIR, "file://" + new File(root, "hbase").getAbsolutePath());
    c.set("hadoop.tmp.dir", new File(root, "tmp").getAbsolutePath());
    c.set("hbase.tmp.dir", new File(root, "tmp").getAbsolutePath());
    for (String role : new String[] { "master", "regionserver" }) {
      c.setInt("hbase." + role + ".port", 0);
      c.setInt("hbase." + role + ".info.port", -1);
      c.set("hbase." + role + ".ipc.address", "127.0.0.1");
    }
    c.set("hbase.master.hostname", "localhost");
    c.set("hbase.unsafe.regionserver.hostname", "localhost");
    c.setInt("zookeeper.session.timeout", 10000);
    c.setInt("hbase.regionserver.handler.count", 6);
    c.setInt("hbase.regionserver.metahandler.count", 4);
    c.setInt("hbase.master.executor.openregion.threads", 2);
    c.setInt("hbase.regionserver.msginterval", 500);
    c.setInt("hbase.master.wait.on.regionservers.timeout", 2000);
    c.setInt("hbase.master.wait.on.regionservers.interval", 300);
    c.setBoolean("hbase.master.start.wal.archiving", true);
    // Nothing is cleaned up.
    c.setLong("hbase.master.hfilecleaner.ttl", 86_400_000L);
    c.setLong("hbase.master.logcleaner.ttl", 86_400_000L);
    c.setInt("hbase.master.cleaner.interval", 3_600_000);
    c.setInt("hbase.catalogjanitor.interval", 3_600_000);
    c.setInt("hbase.balancer.period", 3_600_000);
    c.setInt("hbase.server.compactchecker.interval.multiplier", 100_000);
    // Compacted files stay beside their replacement for this long.
    c.setInt("hbase.hfile.compaction.discharger.interval", 8000);
    c.setFloat("hfile.block.cache.size", 0.1f);
    return c;
  }

  static Configuration client(int zkPort) {
    Configuration c = base();
    c.setInt(HConstants.ZOOKEEPER_CLIENT_PORT, zkPort);
    c.setInt(HConstants.HBASE_CLIENT_RETRIES_NUMBER, 6);
    return c;
  }

  static int freePort() throws IOException {
    try (ServerSocket s = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      return s.getLocalPort();
    }
  }

  /** {@code --name value}, {@code --flag}, {@code -D key=value} and other words. */
  static final class Args {
    private final List<String> rest = new ArrayList<>();
    private final List<String[]> options = new ArrayList<>();

    Args(String[] argv, String... flags) {
      List<String> bare = List.of(flags);
      for (int i = 0; i < argv.length; i++) {
        if (argv[i].startsWith("-D")) {
          options.add(new String[] { "D", argv[i].length() > 2 ? argv[i].substring(2) : argv[++i] });
        } else if (argv[i].startsWith("--") && bare.contains(argv[i].substring(2))) {
          options.add(new String[] { argv[i].substring(2), "true" });
        } else if (argv[i].startsWith("--")) {
          options.add(new String[] { argv[i].substring(2), argv[++i] });
        } else {
          rest.add(argv[i]);
        }
      }
    }

    String get(String name, String fallback) {
      String found = fallback;
      for (String[] o : options) {
        found = o[0].equals(name) ? o[1] : found;
      }
      return found;
    }

    boolean has(String name) {
      return get(name, null) != null;
    }

    List<String> rest() {
      return rest;
    }

    Configuration overrides(Configuration c) {
      for (String[] o : options) {
        if (o[0].equals("D")) {
          int eq = o[1].indexOf('=');
          c.set(o[1].substring(0, eq), o[1].substring(eq + 1));
        }
      }
      return c;
    }
  }
}
