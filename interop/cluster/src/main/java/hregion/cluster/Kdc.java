package hregion.cluster;

import java.io.File;
import java.nio.file.Files;
import java.util.Map;
import java.util.Properties;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.AppConfigurationEntry.LoginModuleControlFlag;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.minikdc.MiniKdc;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** A Kerberos server in this JVM, and the settings with which a cluster and its clients use it. */
final class Kdc {
  private static final String REALM = "EXAMPLE.COM";
  private static final String SERVER = "hbase/localhost@" + REALM;
  private static final String CLIENT = "client@" + REALM;
  private static final String ZOOKEEPER = "zookeeper/localhost@" + REALM;

  private final MiniKdc kdc;
  private final File servers;
  private final File clients;

  /** Starts the server, with its files in a directory. */
  Kdc(File dir) throws Exception {
    Files.createDirectories(dir.toPath());
    Properties settings = MiniKdc.createConf();
    kdc = new MiniKdc(settings, dir);
    // Also sets the file in which this JVM looks for the server.
    kdc.start();
    servers = new File(dir, "server.keytab");
    kdc.createPrincipal(servers, name(SERVER), name(ZOOKEEPER));
    clients = new File(dir, "client.keytab");
    kdc.createPrincipal(clients, name(CLIENT));
  }

  private static String name(String principal) {
    return principal.substring(0, principal.indexOf('@'));
  }

  /** Lets ZooKeeper's server in this JVM authenticate the sessions of clients that request it. */
  void secureZooKeeper() {
    System.setProperty("zookeeper.authProvider.1",
      "org.apache.zookeeper.server.auth.SASLAuthenticationProvider");
    Map<String, String> options = Map.of("useKeyTab", "true", "keyTab", servers.getPath(),
      "storeKey", "true", "useTicketCache", "false", "principal", ZOOKEEPER);
    AppConfigurationEntry[] server = { new AppConfigurationEntry(
      "com.sun.security.auth.module.Krb5LoginModule", LoginModuleControlFlag.REQUIRED, options) };
    // HBase's own sessions have no section "Client": they are anonymous.
    javax.security.auth.login.Configuration
      .setConfiguration(new javax.security.auth.login.Configuration() {
        @Override
        public AppConfigurationEntry[] getAppConfigurationEntry(String section) {
          return section.equals("Server") ? server : null;
        }
      });
  }

  /** Configures servers that authenticate, and their clients. */
  void secure(Configuration conf) {
    secure(conf, clients);
    // Users may act for others only if they are authorized.
    conf.setBoolean("hadoop.security.authorization", true);
    for (String role : new String[] { "master", "regionserver" }) {
      conf.set("hbase." + role + ".keytab.file", servers.getPath());
    }
    UserGroupInformation.setConfiguration(conf);
  }

  private static void secure(Configuration conf, File clients) {
    conf.set("hadoop.security.authentication", "kerberos");
    conf.set("hbase.security.authentication", "kerberos");
    for (String role : new String[] { "master", "regionserver" }) {
      conf.set("hbase." + role + ".kerberos.principal", SERVER);
    }
    conf.set("hbase.client.keytab.file", clients.getPath());
    conf.set("hbase.client.keytab.principal", CLIENT);
  }

  JsonObject describe() {
    JsonObject o = new JsonObject();
    o.addProperty("krb5", kdc.getKrb5conf().getPath());
    o.addProperty("keytab", clients.getPath());
    o.addProperty("client", CLIENT);
    o.addProperty("server", SERVER);
    return o;
  }

  /** Logs a client in, according to the description of a running cluster. */
  static void login(Configuration conf, JsonObject described) throws Exception {
    System.setProperty("java.security.krb5.conf", described.get("krb5").getAsString());
    File keytab = new File(described.get("keytab").getAsString());
    secure(conf, keytab);
    UserGroupInformation.setConfiguration(conf);
    UserGroupInformation.loginUserFromKeytab(CLIENT, keytab.getPath());
  }
}
