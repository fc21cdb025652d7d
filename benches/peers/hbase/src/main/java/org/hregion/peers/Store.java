package org.hregion.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.io.hfile.LruBlockCache;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.regionserver.ChunkCreator;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.HStore;
import org.apache.hadoop.hbase.regionserver.MemStoreLAB;
import org.apache.hadoop.hbase.util.CommonFSUtils;
import org.apache.hadoop.hbase.wal.WAL;
import org.apache.hadoop.hbase.wal.WALFactory;
import org.apache.hadoop.hbase.wal.WALSplitter;

/** One region of one family in a separate directory, without a server. */
final class Store implements AutoCloseable {
  final Path dir;
  final Configuration conf;
  final TableDescriptor table;
  final RegionInfo info;
  final WALFactory wals;
  final WAL wal;
  HRegion region;
  private final LruBlockCache cache;
  private boolean abandoned;
  private boolean crashed;

  static final TableName NAME = TableName.valueOf("t");

  static Configuration conf(Path dir) {
    Configuration c = HBaseConfiguration.create();
    String uri = dir.toUri().toString();
    c.set("fs.defaultFS", "file:///");
    // the default writes separate checksum files, and ignores hflush and hsync
    c.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem");
    c.set("hbase.rootdir", uri);
    c.set("hbase.wal.dir", uri);
    c.setBoolean("hbase.unsafe.stream.capability.enforce", false);
    c.set("hbase.wal.provider", "asyncfs");
    // the harness decides when to flush and to compact
    c.setLong("hbase.hregion.memstore.flush.size", 1L << 40);
    c.setInt("hbase.hstore.compaction.min", 1000);
    c.setInt("hbase.hstore.compaction.max", 1000);
    c.setInt("hbase.hstore.compactionThreshold", 1000);
    c.setInt("hbase.hstore.blockingStoreFiles", 1000);
    c.setLong("hbase.hregion.majorcompaction", 0);
    c.setLong("hbase.regionserver.hlog.blocksize", 1L << 30);
    return c;
  }

  static void chunks() {
    long bytes = Runtime.getRuntime().maxMemory() * 4 / 10;
    ChunkCreator.initialize(MemStoreLAB.CHUNK_SIZE_DEFAULT, false, bytes, 1f, 0f, null,
      MemStoreLAB.INDEX_CHUNK_SIZE_PERCENTAGE_DEFAULT);
  }

  /** Opens the region in the directory, or creates one. */
  Store(Bench b, Path dir, int versions, long cacheBytes) throws IOException {
    this.dir = dir;
    boolean fresh = !Files.exists(dir);
    Files.createDirectories(dir);
    conf = conf(dir);
    table = TableDescriptorBuilder.newBuilder(NAME)
      .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Rows.FAMILY)
        .setMaxVersions(versions)
        .setBloomFilterType(b.variant.equals("rowcol") ? BloomType.ROWCOL : BloomType.ROW)
        .setDataBlockEncoding(b.encoding)
        .setBlocksize(b.block)
        .build())
      .build();
    info = RegionInfoBuilder.newBuilder(NAME).setRegionId(1).build();
    wals = new WALFactory(conf, "peers-" + System.nanoTime());
    wal = wals.getWAL(info);
    cache = cacheBytes == 0 ? null : new LruBlockCache(cacheBytes, 64 << 10, true, conf);
    org.apache.hadoop.fs.Path root = CommonFSUtils.getRootDir(conf);
    if (fresh) {
      region = HRegion.createHRegion(info, root, conf, table, wal, false);
    } else {
      org.apache.hadoop.fs.Path tableDir = CommonFSUtils.getTableDir(root, NAME);
      region = HRegion.newHRegion(tableDir, wal, FileSystem.get(conf), conf, info, table, null);
    }
    region.setBlockCache(cache);
    region.initialize();
  }

  HStore store() {
    return region.getStore(Rows.FAMILY);
  }

  int files() {
    return store().getStorefilesCount();
  }

  void flush() throws IOException {
    region.flush(true);
  }

  void compact() throws IOException {
    region.compact(true);
    store().closeAndArchiveCompactedFiles();
  }

  /** Lets close drop the MemStore. */
  void abandon() {
    abandoned = true;
  }

  /** Lets close drop the MemStore, and keep the log. */
  void crash() {
    abandoned = true;
    crashed = true;
  }

  /** Splits the logs of a store that crashed. */
  static void splitLogs(Path dir) throws IOException {
    Configuration conf = conf(dir);
    FileSystem fs = FileSystem.get(conf);
    org.apache.hadoop.fs.Path root = CommonFSUtils.getRootDir(conf);
    org.apache.hadoop.fs.Path old = new org.apache.hadoop.fs.Path(root, HConstants.HREGION_OLDLOGDIR_NAME);
    WALFactory wals = new WALFactory(conf, "split-" + System.nanoTime());
    org.apache.hadoop.fs.Path logs = new org.apache.hadoop.fs.Path(root, HConstants.HREGION_LOGDIR_NAME);
    for (FileStatus server : fs.listStatus(logs)) {
      WALSplitter.split(root, server.getPath(), old, fs, conf, wals);
    }
    wals.close();
  }

  @Override
  public void close() throws IOException {
    region.close(abandoned);
    if (crashed) {
      wals.shutdown();
    } else {
      wals.close();
    }
    if (cache != null) {
      cache.shutdown();
    }
  }

  static void delete(Path dir) {
    if (!Files.exists(dir)) {
      return;
    }
    try (Stream<Path> s = Files.walk(dir)) {
      s.sorted(Comparator.reverseOrder()).forEach(p -> p.toFile().delete());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads every file below dir, so that the page cache has them. */
  static void warmPageCache(Path dir) throws IOException {
    byte[] buf = new byte[1 << 20];
    try (Stream<Path> s = Files.walk(dir)) {
      for (Path p : (Iterable<Path>) s.filter(Files::isRegularFile)::iterator) {
        try (var in = Files.newInputStream(p)) {
          while (in.read(buf) > 0) {
            // the bytes are not needed
          }
        }
      }
    }
  }
}
