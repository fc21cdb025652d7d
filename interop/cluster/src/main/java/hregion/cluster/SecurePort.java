package hregion.cluster;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.zookeeper.MiniZooKeeperCluster;
import org.apache.zookeeper.common.X509Util;
import org.apache.zookeeper.server.NettyServerCnxnFactory;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;
import org.apache.zookeeper.server.auth.X509AuthenticationProvider;

/** A TLS port of ZooKeeper in this JVM. */
final class SecurePort {
  private static final String SETTINGS = "hbase.zookeeper.property.ssl.";

  final int port;
  private final ServerCnxnFactory connections;

  /**
   * Opens a port with the keys and the trusted certificates of HBase's clients. {@code clientAuth} is its
   * requirement: {@code need} for client certificates, or {@code none}.
   */
  SecurePort(MiniZooKeeperCluster zk, Configuration conf, String clientAuth) throws Exception {
    for (Map.Entry<String, String> e : conf) {
      if (e.getKey().startsWith(SETTINGS)) {
        System.setProperty("zookeeper.ssl." + e.getKey().substring(SETTINGS.length()), e.getValue());
      }
    }
    System.setProperty("zookeeper.authProvider.x509", X509AuthenticationProvider.class.getName());
    System.setProperty("zookeeper.ssl.clientAuth", clientAuth);
    port = Settings.freePort();
    System.setProperty(ServerCnxnFactory.ZOOKEEPER_SERVER_CNXN_FACTORY,
      NettyServerCnxnFactory.class.getName());
    connections = ServerCnxnFactory.createFactory();
    connections.configure(new InetSocketAddress("127.0.0.1", port), 0, -1, true);
    // Reads the properties now: the next port has different ones.
    Field util = NettyServerCnxnFactory.class.getDeclaredField("x509Util");
    util.setAccessible(true);
    ((X509Util) util.get(connections)).getDefaultSSLContextAndOptions();
    Method servers = MiniZooKeeperCluster.class.getDeclaredMethod("getZooKeeperServers");
    servers.setAccessible(true);
    connections.startup((ZooKeeperServer) ((List<?>) servers.invoke(zk)).get(0), false);
  }

  String address() {
    return "127.0.0.1:" + port;
  }

  void close() {
    connections.shutdown();
  }
}
