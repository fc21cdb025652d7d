package hregion.cluster;

import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.MemStoreLAB;
import org.apache.hadoop.hbase.regionserver.ChunkCreator;
import org.apache.hadoop.hbase.regionserver.RegionScanner;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.CommonFSUtils;
import org.apache.hadoop.hbase.wal.WAL;
import org.apache.hadoop.hbase.wal.WALEdit;
import org.apache.hadoop.hbase.wal.WALFactory;
import org.apache.hadoop.hbase.wal.WALSplitter;
import org.apache.hadoop.hbase.wal.WALStreamReader;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/**
 * Opens regions without a cluster and prints their cells: copies of region directories, or empty
 * regions that replay a WAL. The WAL is split first, unless its name is that of recovered edits.
 */
final class Replay {
  private final Configuration conf;
  private final Path root;
  private final FileSystem fs;

  Replay(Configuration conf, File root) throws Exception {
    this.conf = conf;
    this.root = new Path(root.getAbsoluteFile().toURI());
    conf.set("hbase.rootdir", this.root.toString());
    conf.set("hbase.wal.dir", this.root.toString());
    conf.setBoolean("hbase.regionserver.compaction.enabled", false);
    fs = this.root.getFileSystem(conf);
    ChunkCreator.initialize(MemStoreLAB.CHUNK_SIZE_DEFAULT, false, 0, 0, 0, null,
      MemStoreLAB.INDEX_CHUNK_SIZE_PERCENTAGE_DEFAULT);
  }

  /** Returns a descriptor with the given families, which keep all versions. */
  static TableDescriptor descriptor(TableName table, Set<String> families, Configuration conf) {
    TableDescriptorBuilder t = TableDescriptorBuilder.newBuilder(table);
    for (String f : families) {
      t.setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Cells.bytes(f))
        .setMaxVersions(Integer.parseInt(conf.get("hregion.versions", "2147483647"))).build());
    }
    return t.build();
  }

  /** Returns a region of the whole key space with an encoded name found in a WAL. */
  private static RegionInfo named(TableName table, String encoded) {
    RegionInfo whole = RegionInfoBuilder.newBuilder(table).setRegionId(1).build();
    return (RegionInfo) Proxy.newProxyInstance(RegionInfo.class.getClassLoader(),
      new Class<?>[] { RegionInfo.class }, (self, method, args) -> {
        switch (method.getName()) {
          case "getEncodedName":
            return encoded;
          case "getEncodedNameAsBytes":
            return Bytes.toBytes(encoded);
          default:
            try {
              return method.invoke(whole, args);
            } catch (InvocationTargetException e) {
              throw e.getCause();
            }
        }
      });
  }

  /** Replays a WAL into new regions, one for each encoded name, or only for the one given. */
  void wal(File file, String only, PrintStream out) throws Exception {
    Path wal = new Path(file.getAbsoluteFile().toURI());
    Map<String, TableName> regions = new TreeMap<>();
    Map<String, Set<String>> families = new TreeMap<>();
    try (WALStreamReader reader = WALFactory.createStreamReader(fs, wal, conf)) {
      for (WAL.Entry e; (e = reader.next()) != null;) {
        String name = Bytes.toString(e.getKey().getEncodedRegionName());
        regions.put(name, e.getKey().getTableName());
        Set<String> mine = families.computeIfAbsent(name, k -> new TreeSet<>());
        for (Cell c : e.getEdit().getCells()) {
          if (!WALEdit.isMetaEditFamily(c)) {
            mine.add(Cells.text(CellUtil.cloneFamily(c)));
          }
        }
      }
    } catch (EOFException e) {
      JsonObject torn = new JsonObject();
      torn.add("torn", Client.failure(e));
      torn.getAsJsonObject("torn").remove("message");
      out.println(Cells.GSON.toJson(torn));
    }
    regions.keySet().removeIf(r -> only != null && !only.equals(r) || families.get(r).isEmpty());
    boolean edits = file.getName().matches("[0-9]+");
    for (Map.Entry<String, TableName> r : regions.entrySet()) {
      Path dir = new Path(CommonFSUtils.getTableDir(root, r.getValue()), r.getKey());
      fs.mkdirs(dir);
      if (edits) {
        // Recovered edits are copied unchanged.
        Path to = new Path(dir, "recovered.edits");
        fs.mkdirs(to);
        FileUtil.copy(fs, wal, fs, new Path(to, file.getName()), false, conf);
      }
    }
    if (!edits) {
      Path logs = new Path(root, "WALs/one");
      fs.mkdirs(logs);
      FileUtil.copy(fs, wal, fs, new Path(logs, file.getName()), false, conf);
      WALSplitter.split(root, logs, new Path(root, "oldWALs"), fs, conf,
        new WALFactory(conf, "replay"));
    }
    for (Map.Entry<String, TableName> r : regions.entrySet()) {
      open(named(r.getValue(), r.getKey()),
        descriptor(r.getValue(), families.get(r.getKey()), conf), out);
    }
  }

  /** Opens a region whose directory is in place and prints its cells with their sequence ids. */
  void open(RegionInfo region, TableDescriptor table, PrintStream out) throws Exception {
    HRegion r = HRegion.openHRegion(conf, fs, root, region, table, null, null, null);
    JsonObject head = new JsonObject();
    head.addProperty("region", region.getEncodedName());
    head.addProperty("open_seqnum", r.getOpenSeqNum());
    head.addProperty("max_flushed", r.getMaxFlushedSeqId());
    out.println(Cells.GSON.toJson(head));
    for (boolean raw : new boolean[] { true, false }) {
      Scan s = raw ? new Scan().setRaw(true).readAllVersions() : new Scan();
      try (RegionScanner scanner = r.getScanner(s)) {
        List<Cell> row = new ArrayList<>();
        boolean more;
        do {
          more = scanner.next(row);
          for (Cell c : row) {
            JsonObject o = Cells.toJson(c);
            if (raw) {
              o.addProperty("sequence", c.getSequenceId());
            } else {
              o.addProperty("plain", true);
            }
            out.println(Cells.GSON.toJson(o));
          }
          row.clear();
        } while (more);
      }
    }
    r.close(true);
  }

  /** {@code FILE [--region ENCODED] [--versions N] [--root DIR] [-D key=value]...} */
  public static void main(String[] argv) throws Exception {
    Settings.Args args = new Settings.Args(argv);
    Configuration conf = args.overrides(Settings.base());
    conf.set("hregion.versions", args.get("versions", "2147483647"));
    File root = args.has("root") ? new File(args.get("root", ""))
      : Files.createTempDirectory("hregion-replay").toFile();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    int status = 0;
    try {
      new Replay(conf, root).wal(new File(args.rest().get(0)), args.get("region", null), out);
    } catch (IOException | RuntimeException e) {
      JsonObject o = new JsonObject();
      o.add("error", Client.failure(e));
      out.println(Cells.GSON.toJson(o));
      status = 1;
    }
    if (!args.has("root")) {
      FileUtil.fullyDelete(root);
    }
    System.exit(status);
  }
}
