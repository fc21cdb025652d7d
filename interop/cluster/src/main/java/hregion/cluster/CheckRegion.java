package hregion.cluster;

import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.MetaTableAccessor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableState;
import org.apache.hadoop.hbase.master.HMaster;
import org.apache.hadoop.hbase.tool.BulkLoadHFilesTool;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.CommonFSUtils;
import org.apache.hadoop.hbase.util.FSTableDescriptors;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/**
 * Opens a directory in a new HBase and prints the cells that its client reads.
 *
 * <p>A directory with {@code .regioninfo} is a region; one whose sub-directories have it is a table;
 * any other is a bulk load, with one sub-directory per family.
 * Files that are links need {@code --beside}: the root directory they came from.
 */
final class CheckRegion {
  private final Configuration conf;
  private final File root;
  private final PrintStream out;
  private Replay replay;

  private CheckRegion(Configuration conf, File root, PrintStream out) {
    this.conf = conf;
    this.root = root;
    this.out = out;
  }

  private static File[] regionsOf(File dir) {
    if (new File(dir, ".regioninfo").exists()) {
      return new File[] { dir };
    }
    File[] found = dir.listFiles(f -> new File(f, ".regioninfo").exists());
    return found == null ? new File[0] : found;
  }

  /**
   * Returns whether younger regions cover the range of a region. The {@code .regioninfo} of the parent of a
   * split or merge does not show that it is one.
   */
  private static boolean replaced(RegionInfo r, File[] regions) throws IOException {
    byte[] reached = r.getStartKey();
    boolean more = true;
    while (more) {
      more = false;
      for (File f : regions) {
        RegionInfo y = regionInfo(f);
        if (y.getRegionId() > r.getRegionId() && Bytes.compareTo(y.getStartKey(), reached) <= 0
          && (y.getEndKey().length == 0 || Bytes.compareTo(y.getEndKey(), reached) > 0)) {
          reached = y.getEndKey();
          more = reached.length > 0;
          if (reached.length == 0
            || r.getEndKey().length > 0 && Bytes.compareTo(reached, r.getEndKey()) >= 0) {
            return true;
          }
          break;
        }
      }
    }
    return r.isSplit();
  }

  private static RegionInfo regionInfo(File dir) throws IOException {
    try (DataInputStream in =
      new DataInputStream(new FileInputStream(new File(dir, ".regioninfo")))) {
      return RegionInfo.parseFrom(in);
    }
  }

  private static Set<String> families(File dir) {
    Set<String> names = new TreeSet<>();
    for (File f : dir.listFiles(File::isDirectory)) {
      String n = f.getName();
      if (!n.startsWith(".") && !n.startsWith("_") && !n.equals("recovered.edits")) {
        names.add(n);
      }
    }
    return names;
  }

  /** Returns the descriptor of the table, or else one with the families found. */
  private TableDescriptor descriptor(File tableDir, TableName table, File[] regions)
    throws IOException {
    Path dir = new Path(tableDir.getAbsoluteFile().toURI());
    FileSystem fs = dir.getFileSystem(conf);
    if (new File(tableDir, ".tabledesc").isDirectory()) {
      return FSTableDescriptors.getTableDescriptorFromFs(fs, dir);
    }
    Set<String> names = new TreeSet<>();
    for (File r : regions) {
      names.addAll(families(r));
    }
    return Replay.descriptor(table, names, conf);
  }

  /** Copies the regions, to open them without a cluster. */
  private void offline(File dir, File[] regions) throws Exception {
    replay = new Replay(conf, new File(root, "hbase"));
    Path rootDir = new Path(new File(root, "hbase").getAbsoluteFile().toURI());
    FileSystem fs = rootDir.getFileSystem(conf);
    for (File r : regions) {
      RegionInfo info = regionInfo(r);
      copy(fs, r, new Path(CommonFSUtils.getTableDir(rootDir, info.getTable()),
        info.getEncodedName()));
    }
  }

  private void openAll(File dir, File[] regions) throws Exception {
    for (File r : regions) {
      RegionInfo info = regionInfo(r);
      if (!replaced(info, regions)) {
        replay.open(info, descriptor(tableDir(dir), info.getTable(), regions), out);
      }
    }
  }

  private static File tableDir(File dir) {
    return new File(dir, ".regioninfo").exists() ? dir.getAbsoluteFile().getParentFile() : dir;
  }

  /** Copies tables and the archive of another root directory, to which links lead. Replaces nothing. */
  private void beside(File from) throws IOException {
    Path rootDir = new Path(new File(root, "hbase").getAbsoluteFile().toURI());
    FileSystem fs = rootDir.getFileSystem(conf);
    for (String part : new String[] { "data", "archive/data" }) {
      File[] namespaces = new File(from, part).listFiles(File::isDirectory);
      for (File ns : namespaces == null ? new File[0] : namespaces) {
        for (File table : ns.listFiles(File::isDirectory)) {
          Path to = new Path(rootDir, part + "/" + ns.getName() + "/" + table.getName());
          if (!fs.exists(to)) {
            copy(fs, table, to);
          }
        }
      }
    }
  }

  private void copy(FileSystem fs, File from, Path to) throws IOException {
    fs.mkdirs(to.getParent());
    FileUtil.copy(from, fs, to, false, conf);
    // The servers run as a different user than the owner of these files.
    FileUtil.chmod(new File(to.toUri()).getPath(), "a+rwX", true);
  }

  /** Adds the table to a running cluster: copies files, writes catalog rows, enables the table. */
  private void adopt(Cluster cluster, File dir, File[] regions) throws Exception {
    HMaster master = cluster.master();
    Path rootDir = CommonFSUtils.getRootDir(conf);
    FileSystem fs = rootDir.getFileSystem(conf);
    TableName table = regionInfo(regions[0]).getTable();
    TableDescriptor d = descriptor(tableDir(dir), table, regions);
    try (Connection c = cluster.connect(); Admin admin = c.getAdmin()) {
      String namespace = table.getNamespaceAsString();
      if (!namespace.equals("default")) {
        admin.createNamespace(
          org.apache.hadoop.hbase.NamespaceDescriptor.create(namespace).build());
      }
      master.getTableDescriptors().update(d);
      List<RegionInfo> live = new ArrayList<>();
      for (File r : regions) {
        RegionInfo info = regionInfo(r);
        Path to = new Path(CommonFSUtils.getTableDir(rootDir, table), info.getEncodedName());
        fs.delete(to, true);
        copy(fs, r, to);
        if (!replaced(info, regions)) {
          live.add(RegionInfoBuilder.newBuilder(info).setOffline(false).build());
        }
      }
      MetaTableAccessor.addRegionsToMeta(c, live, 1);
      for (RegionInfo r : live) {
        master.getAssignmentManager().populateRegionStatesFromMeta(r);
      }
      master.getTableStateManager().setTableState(table, TableState.State.DISABLED);
      admin.enableTable(table);
      live.sort(RegionInfo.COMPARATOR);
      print(c, live);
    }
  }

  private void bulkLoad(Cluster cluster, File dir) throws Exception {
    TableName table = TableName.valueOf("bulk");
    try (Connection c = cluster.connect(); Admin admin = c.getAdmin()) {
      admin.createTable(Replay.descriptor(table, families(dir), conf));
      File copy = new File(root, "bulk");
      Path to = new Path(copy.getAbsoluteFile().toURI());
      copy(to.getFileSystem(conf), dir, to);
      JsonObject o = new JsonObject();
      o.addProperty("loaded", new BulkLoadHFilesTool(conf).bulkLoad(table, to).size());
      out.println(Cells.GSON.toJson(o));
      print(c, admin.getRegions(table));
    }
  }

  /** Scans each region separately: the given ones may be a part of the table. */
  private void print(Connection c, List<RegionInfo> regions) throws IOException {
    for (boolean raw : new boolean[] { true, false }) {
      for (RegionInfo region : regions) {
        Scan s = new Scan().withStartRow(region.getStartKey()).withStopRow(region.getEndKey());
        if (raw) {
          s.setRaw(true).readAllVersions();
        }
        try (Table t = c.getTable(region.getTable()); ResultScanner rows = t.getScanner(s)) {
          for (Result r : rows) {
            for (Cell cell : r.rawCells()) {
              JsonObject o = Cells.toJson(cell);
              if (!raw) {
                o.addProperty("plain", true);
              }
              out.println(Cells.GSON.toJson(o));
            }
          }
        }
      }
    }
  }

  /** {@code DIR [--offline] [--beside ROOT] [--versions N] [--root DIR] [-D key=value]...} */
  public static void main(String[] argv) throws Exception {
    Settings.Args args = new Settings.Args(argv, "offline");
    File root = args.has("root") ? new File(args.get("root", ""))
      : Files.createTempDirectory("hregion-check").toFile();
    Configuration conf = args.overrides(Settings.server(root));
    // A compaction would drop cells that the raw scan must return.
    conf.setBoolean("hbase.regionserver.compaction.enabled", false);
    conf.set("hregion.versions", args.get("versions", "2147483647"));
    PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out),
      true, StandardCharsets.UTF_8);
    File dir = new File(args.rest().get(0)).getAbsoluteFile();
    File[] regions = regionsOf(dir);
    CheckRegion check = new CheckRegion(conf, root, out);
    int status = 0;
    try {
      if (args.has("offline")) {
        check.offline(dir, regions);
        if (args.has("beside")) {
          check.beside(new File(args.get("beside", "")));
        }
        check.openAll(dir, regions);
      } else {
        Cluster cluster = new Cluster(conf, root, Settings.freePort(), 1, null, false);
        cluster.await(120_000);
        if (args.has("beside")) {
          check.beside(new File(args.get("beside", "")));
        }
        if (regions.length > 0) {
          check.adopt(cluster, dir, regions);
        } else {
          check.bulkLoad(cluster, dir);
        }
      }
    } catch (Exception | Error e) {
      JsonObject o = new JsonObject();
      o.add("error", Client.failure(e));
      out.println(Cells.GSON.toJson(o));
      e.printStackTrace();
      status = 1;
    }
    if (!args.has("root")) {
      FileUtil.fullyDelete(root);
    }
    // The cluster is discarded, so it is not shut down.
    Runtime.getRuntime().halt(status);
  }
}
