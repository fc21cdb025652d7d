package hregion.oracle;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptor;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.regionserver.FlushLifeCycleTracker;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.HStore;
import org.apache.hadoop.hbase.regionserver.compactions.CompactionContext;
import org.apache.hadoop.hbase.regionserver.throttle.NoLimitThroughputController;
import org.apache.hadoop.hbase.util.CommonFSUtils;
import org.apache.hadoop.hbase.util.Pair;
import org.apache.hadoop.hbase.wal.WAL;
import org.apache.hadoop.hbase.wal.WALFactory;
import org.apache.hadoop.hbase.wal.WALSplitter;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** One region with its log, in one directory of the local file system. */
final class Host {
  private final Configuration conf;
  private final FileSystem fs;
  private final Path root;
  private final RegionInfo info;
  private final TableDescriptor table;
  private WALFactory logs;
  private int opens;
  private int loads;
  private HRegion region;

  Host(java.nio.file.Path dir, RegionInfo info, TableDescriptor table) throws IOException {
    this.info = info;
    this.table = table;
    this.root = new Path(dir.toUri());
    this.conf = configuration(root);
    this.fs = FileSystem.get(root.toUri(), conf);
    HRegion.createRegionDir(conf, info, root);
    open();
  }

  private static Configuration configuration(Path root) throws IOException {
    Configuration conf = HBaseConfiguration.create();
    conf.setBoolean("hbase.defaults.for.version.skip", true);
    conf.set("fs.defaultFS", "file:///");
    conf.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem");
    conf.setBoolean("fs.file.impl.disable.cache", true);
    CommonFSUtils.setRootDir(conf, root);
    CommonFSUtils.setWALRootDir(conf, root);
    conf.set("hbase.wal.provider", "filesystem");
    conf.setBoolean("hbase.unsafe.stream.capability.enforce", false);
    conf.setBoolean("hbase.hregion.memstore.mslab.enabled", false);
    conf.setBoolean("hbase.storescanner.use.pread", true);
    conf.set("hbase.hstore.defaultengine.compactionpolicy.class", ChosenFiles.class.getName());
    conf.setFloat(HConstants.HFILE_BLOCK_CACHE_SIZE_KEY, 0f);
    return conf;
  }

  private void open() throws IOException {
    opens++;
    logs = new WALFactory(conf, "server" + opens);
    WAL wal = logs.getWAL(info);
    region = HRegion.openHRegion(conf, fs, root, info, table, wal);
  }

  HRegion region() {
    return region;
  }

  /** Flushes the named families, or all when none is named. */
  void flush(List<byte[]> families) throws IOException {
    if (families.isEmpty()) {
      families = new ArrayList<>(table.getColumnFamilyNames());
    }
    region.flushcache(families, false, FlushLifeCycleTracker.DUMMY);
  }

  /** Compacts count files of every named family, beginning with the from-th oldest. */
  void compact(List<byte[]> families, int from, int count) throws IOException {
    if (families.isEmpty()) {
      families = new ArrayList<>(table.getColumnFamilyNames());
    }
    ChosenFiles.from = from;
    ChosenFiles.count = count;
    for (byte[] family : families) {
      HStore store = region.getStore(family);
      Optional<CompactionContext> chosen = store.requestCompaction();
      if (chosen.isPresent()) {
        region.compact(chosen.get(), store, NoLimitThroughputController.INSTANCE);
      }
      store.closeAndArchiveCompactedFiles();
    }
  }

  void bulkLoad(List<JsonObject> files) throws Exception {
    List<Pair<byte[], String>> paths = new ArrayList<>();
    for (JsonObject file : files) {
      byte[] family = Json.bytes(file, "family");
      ColumnFamilyDescriptor schema = table.getColumnFamily(family);
      loads++;
      Path path = new Path(new Path(root, "staging"), "load" + loads);
      BulkFile.write(conf, fs, path,
        schema == null ? table.getColumnFamilies()[0] : schema, file);
      paths.add(new Pair<>(family, path.toString()));
    }
    region.bulkLoadHFiles(paths, true, null);
  }

  int files(byte[] family) {
    return region.getStore(family).getStorefilesCount();
  }

  TableDescriptor table() {
    return table;
  }

  /** Closes the region, which flushes it, and opens it again. */
  void reopen() throws IOException {
    region.close();
    logs.close();
    open();
  }

  /** Drops the MemStore, splits the log, and opens the region again, which replays the log. */
  void crash() throws IOException {
    region.close(true);
    logs.shutdown();
    Path wals = new Path(new Path(root, HConstants.HREGION_LOGDIR_NAME), "server" + opens);
    Path old = new Path(root, HConstants.HREGION_OLDLOGDIR_NAME);
    fs.mkdirs(old);
    if (fs.exists(wals)) {
      WALSplitter.split(root, wals, old, fs, conf, logs);
    }
    open();
  }

  /** Leaves the directory as a stopped server would: unflushed cells stay in the log. */
  void stop() throws IOException {
    region.close(true);
    logs.shutdown();
  }
}
