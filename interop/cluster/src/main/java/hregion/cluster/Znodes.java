package hregion.cluster;

import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.protobuf.Message;
import org.apache.hbase.thirdparty.com.google.protobuf.TextFormat;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.hadoop.hbase.shaded.protobuf.generated.ClusterIdProtos;
import org.apache.hadoop.hbase.shaded.protobuf.generated.ZooKeeperProtos;

/** All znodes of HBase: path, data, decoded data. */
final class Znodes {
  private Znodes() {
  }

  /** Copies the znodes directly below the cluster's to others that only one user may read, by SASL. */
  static JsonArray copyFor(Configuration conf, String user, String to) throws Exception {
    ZooKeeper zk = connect(conf);
    try {
      // ZooKeeper checks whether the list contains null, which a List.of refuses.
      List<ACL> own = Arrays.asList(new ACL(ZooDefs.Perms.READ, new Id("sasl", user)));
      JsonArray all = new JsonArray();
      zk.create(to, new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      String from = conf.get(HConstants.ZOOKEEPER_ZNODE_PARENT, "/hbase");
      for (String child : new TreeSet<>(zk.getChildren(from, false))) {
        byte[] data = zk.getData(from + "/" + child, false, null);
        zk.create(to + "/" + child, data, own, CreateMode.PERSISTENT);
        all.add(child);
      }
      zk.setACL(to, own, -1);
      return all;
    } finally {
      zk.close();
    }
  }

  private static ZooKeeper connect(Configuration conf) throws Exception {
    CountDownLatch up = new CountDownLatch(1);
    ZooKeeper zk = new ZooKeeper(
      "127.0.0.1:" + conf.getInt(HConstants.ZOOKEEPER_CLIENT_PORT, 2181), 10000,
      e -> up.countDown());
    up.await(10, TimeUnit.SECONDS);
    return zk;
  }

  static JsonArray dump(Configuration conf) throws Exception {
    ZooKeeper zk = connect(conf);
    try {
      JsonArray all = new JsonArray();
      walk(zk, conf.get(HConstants.ZOOKEEPER_ZNODE_PARENT, "/hbase"), all);
      return all;
    } finally {
      zk.close();
    }
  }

  private static void walk(ZooKeeper zk, String path, JsonArray all) throws Exception {
    Stat stat = new Stat();
    byte[] data = zk.getData(path, false, stat);
    JsonObject o = new JsonObject();
    o.addProperty("path", path);
    o.addProperty("ephemeral", stat.getEphemeralOwner() != 0);
    o.addProperty("data", data == null ? null : Bytes.toHex(data));
    String decoded = decode(path, data == null ? new byte[0] : data);
    if (decoded != null) {
      o.addProperty("decoded", decoded);
    }
    all.add(o);
    for (String child : new TreeSet<>(zk.getChildren(path, false))) {
      walk(zk, path + "/" + child, all);
    }
  }

  /** Strips the 0xFF header and the PBUF magic, and decodes the message of the path. */
  private static String decode(String path, byte[] data) throws Exception {
    if (data.length < 9 || data[0] != (byte) 0xff) {
      return null;
    }
    int id = Bytes.toInt(data, 1);
    int at = 5 + id;
    if (data.length < at + 4 || !Bytes.toString(data, at, 4).equals("PBUF")) {
      return null;
    }
    byte[] body = Arrays.copyOfRange(data, at + 4, data.length);
    String name = path.substring(path.lastIndexOf('/') + 1);
    Message m;
    if (name.startsWith("meta-region-server")) {
      m = ZooKeeperProtos.MetaRegionServer.parseFrom(body);
    } else if (name.equals("master") || path.contains("/backup-masters/")) {
      m = ZooKeeperProtos.Master.parseFrom(body);
    } else if (name.equals("hbaseid")) {
      m = ClusterIdProtos.ClusterId.parseFrom(body);
    } else if (name.equals("running")) {
      m = ZooKeeperProtos.ClusterUp.parseFrom(body);
    } else if (path.contains("/rs/")) {
      m = org.apache.hadoop.hbase.shaded.protobuf.generated.HBaseProtos.RegionServerInfo
        .parseFrom(body);
    } else if (path.contains("/switch/")) {
      m = ZooKeeperProtos.SwitchState.parseFrom(body);
    } else {
      return "PBUF " + Bytes.toHex(body);
    }
    return m.getDescriptorForType().getName() + " { " + TextFormat.shortDebugString(m) + " }";
  }
}
