package hregion.oracle;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.io.compress.Compression;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.HStore;
import org.apache.hadoop.hbase.regionserver.HStoreFile;
import org.apache.hadoop.hbase.wal.WALFactory;

/**
 * {@code region}: writes the cells to a region, flushes several times, and compacts. The store
 * files of each step are copied to OUT-flushN.hfile, OUT-minor.hfile and OUT-major.hfile.
 */
final class RegionCommand {
  private final Args args;

  RegionCommand(Args args) {
    this.args = args;
  }

  int run() throws IOException {
    Env env = new Env(args);
    WriteCommand.applySettings(args, env);
    Configuration conf = env.conf;
    Path root = env.path(args.need("root"));
    conf.set("hbase.rootdir", root.toString());
    conf.setBoolean("hbase.regionserver.hlog.enabled", false);
    conf.setBoolean("hbase.hregion.memstore.mslab.enabled", false);
    conf.set("hbase.hregion.compacting.memstore.type", "NONE");
    conf.setInt("hfile.format.version", 3);
    List<KeyValue> cells = CellJson.readAll(args.need("cells"));
    String family = new String(CellUtil.cloneFamily(cells.get(0)));
    TableDescriptor table = TableDescriptorBuilder.newBuilder(TableName.valueOf("t"))
      .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(family.getBytes())
        .setMaxVersions((int) args.number("versions", 1))
        .setBlocksize((int) args.number("blocksize", 65536))
        .setBloomFilterType(WriteCommand.bloomType(args))
        .setCompressionType(Compression.Algorithm.valueOf(args.get("compression", "NONE")))
        .setDataBlockEncoding(DataBlockEncoding.valueOf(args.get("encoding", "NONE")))
        .setCompressTags(args.has("compress-tags"))
        .build())
      .build();
    RegionInfo info = RegionInfoBuilder.newBuilder(table.getTableName()).setRegionId(1).build();
    WALFactory wals = new WALFactory(conf, "oracle");
    HRegion region = HRegion.createHRegion(info, root, conf, table, wals.getWAL(info));
    try {
      HStore store = region.getStore(family.getBytes());
      int flushes = (int) args.number("flushes", 3);
      for (int i = 0; i < flushes; i++) {
        int end = cells.size() * (i + 1) / flushes;
        for (KeyValue cell : cells.subList(cells.size() * i / flushes, end)) {
          apply(region, cell);
        }
        region.flush(true);
        copyNewest(store, "flush" + (i + 1));
      }
      region.compact(false);
      copyNewest(store, "minor");
      region.compact(true);
      copyNewest(store, "major");
    } finally {
      region.close();
      wals.close();
    }
    return 0;
  }

  private static void apply(HRegion region, KeyValue cell) throws IOException {
    cell.setSequenceId(0);
    byte[] row = CellUtil.cloneRow(cell);
    if (cell.getTypeByte() == KeyValue.Type.Put.getCode()) {
      region.put(new Put(row).add(cell));
    } else {
      region.delete(new Delete(row).add(cell));
    }
  }

  private void copyNewest(HStore store, String step) throws IOException {
    HStoreFile newest = null;
    for (HStoreFile f : store.getStorefiles()) {
      if (newest == null || f.getMaxSequenceId() >= newest.getMaxSequenceId()) {
        newest = f;
      }
    }
    File to = new File(args.need("out") + "-" + step + ".hfile");
    Files.copy(new File(newest.getPath().toUri().getPath()).toPath(), to.toPath(),
      StandardCopyOption.REPLACE_EXISTING);
    System.out.println(to + " " + newest.toStringDetailed());
  }
}
