package hregion.cluster;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.ArrayBackedTag;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.Tag;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.regionserver.ChunkCreator;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.MemStoreLAB;
import org.apache.hadoop.hbase.regionserver.RegionScanner;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.FSTableDescriptors;
import org.apache.hadoop.hbase.wal.WAL;
import org.apache.hadoop.hbase.wal.WALEdit;
import org.apache.hadoop.hbase.wal.WALFactory;
import org.apache.hadoop.hbase.wal.WALKeyImpl;
import org.apache.hadoop.hbase.wal.WALProvider;
import org.apache.hadoop.hbase.wal.WALSplitter;

/** Writes encrypted write-ahead logs, and a region with encrypted recovered edits; see the README. */
final class EncryptedWal {
  private static final String KEY = "000102030405060708090a0b0c0d0e0f";
  private static final String SERVER = "localhost,16020,1795161493542";
  private static final TableName TABLE = TableName.valueOf("secret");
  private static final byte[] A = Bytes.toBytes("a");
  private static final byte[] B = Bytes.toBytes("b");

  private final Configuration conf;
  private final File out;
  private final Path root;
  private final FileSystem fs;

  private EncryptedWal(File work, File out) throws IOException {
    conf = settings();
    this.out = out;
    root = new Path(work.toURI());
    conf.set(HConstants.HBASE_DIR, root.toString());
    conf.set("hbase.wal.dir", root.toString());
    conf.setBoolean("hbase.regionserver.compaction.enabled", false);
    fs = root.getFileSystem(conf);
    ChunkCreator.initialize(MemStoreLAB.CHUNK_SIZE_DEFAULT, false, 0, 0, 0, null,
      MemStoreLAB.INDEX_CHUNK_SIZE_PERCENTAGE_DEFAULT);
  }

  private static Configuration settings() {
    Configuration conf = Settings.base();
    conf.setBoolean(HConstants.ENABLE_WAL_ENCRYPTION, true);
    FixedKeyProvider.configure(conf, KEY);
    return conf;
  }

  private static byte[] bytes(String text) {
    return Bytes.toBytes(text);
  }

  private static byte[] letters(int length) {
    byte[] value = new byte[length];
    for (int i = 0; i < length; i++) {
      value[i] = (byte) ('a' + i * 7 % 26);
    }
    return value;
  }

  private void region() throws Exception {
    TableDescriptor table = TableDescriptorBuilder.newBuilder(TABLE)
      .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMaxVersions(3)
        .setScope(HConstants.REPLICATION_SCOPE_GLOBAL).build())
      .setColumnFamily(ColumnFamilyDescriptorBuilder.of(B)).build();
    new FSTableDescriptors(fs, root).createTableDescriptor(table);
    RegionInfo info = RegionInfoBuilder.newBuilder(TABLE).setRegionId(1).build();
    WALFactory wals = new WALFactory(conf, SERVER);
    HRegion region = HRegion.createHRegion(info, root, conf, table, wals.getWAL(info));
    for (int i = 0; i < 3; i++) {
      region.put(new Put(bytes("row-" + i)).addColumn(A, bytes("q"), 1000, bytes("flushed-" + i))
        .addColumn(B, bytes("q"), 1000, bytes("flushed-" + i)));
    }
    region.flush(true);
    for (int i = 0; i < 4; i++) {
      region.put(new Put(bytes("row-" + i)).addColumn(A, bytes("q"), 2000, bytes("logged-" + i))
        .addColumn(A, bytes(""), 2000, bytes("no qualifier"))
        .addColumn(B, bytes("empty"), 2000, new byte[0]));
    }
    region.put(new Put(bytes("row-2")).addColumn(B, bytes("big"), 2000, letters(3000)));
    region.delete(new Delete(bytes("row-0")).addColumn(A, bytes("q"), 2000));
    region.delete(new Delete(bytes("row-1")).addColumns(A, bytes("q"), 1500));
    region.delete(new Delete(bytes("row-2")).addFamily(A, 2500));
    region.delete(new Delete(bytes("row-3")).addFamilyVersion(A, 2000));
    region.increment(new Increment(bytes("row-1")).addColumn(B, bytes("count"), 7));
    region.append(new Append(bytes("row-1")).addColumn(B, bytes("q"), bytes("+1")));

    Path logs = new Path(root, "WALs/" + SERVER);
    Path log = fs.listStatus(logs)[0].getPath();
    File crashed = new File(out, "crashed/WALs/" + SERVER);
    copy(log, crashed);
    wals.close();
    copy(closed(log), new File(out, "closed"));
    print(new File(crashed, log.getName()), "read");
    print(new File(out, "closed/" + log.getName()), "closed-read");

    Path dead = new Path(root, "WALs/" + SERVER + "-splitting");
    fs.mkdirs(dead);
    FileUtil.copy(new File(crashed, log.getName()), fs, dead, false, conf);
    WALSplitter.split(root, dead, new Path(root, "oldWALs"), fs, conf, new WALFactory(conf, "split"));
    copy(new Path(root, "data"), new File(out, "split"));
    File dir = new File(out, "split/data/default/" + TABLE + "/" + info.getEncodedName());
    File edits = new File(dir, "recovered.edits");
    for (File file : edits.listFiles((parent, name) -> name.matches("[0-9]+"))) {
      print(file, "split-read/" + info.getEncodedName());
    }
    HRegion opened = HRegion.openHRegion(conf, fs, root, info, table, null, null, null);
    scan(opened, true);
    scan(opened, false);
    opened.close(true);
  }

  /** Returns where a log is after it was closed. */
  private Path closed(Path log) throws IOException {
    return fs.exists(log) ? log : new Path(root, "oldWALs/" + log.getName());
  }

  private void copy(Path from, File to) throws IOException {
    Files.createDirectories(to.toPath());
    FileUtil.copy(fs, from, new File(to, from.getName()), false, conf);
  }

  private void print(File log, String to) throws IOException {
    File answer = new File(out, to + "/" + log.getName() + ".jsonl");
    Files.createDirectories(answer.getParentFile().toPath());
    try (PrintStream lines = new PrintStream(answer, StandardCharsets.UTF_8)) {
      Wal.print(conf, log, lines);
    }
  }

  private void scan(HRegion region, boolean raw) throws IOException {
    String name = region.getRegionInfo().getEncodedName() + (raw ? ".raw" : ".plain") + ".jsonl";
    File answer = new File(out, "recovered/cells/" + name);
    Files.createDirectories(answer.getParentFile().toPath());
    Scan scan = raw ? new Scan().setRaw(true).readAllVersions() : new Scan().readAllVersions();
    try (PrintStream lines = new PrintStream(answer, StandardCharsets.UTF_8);
      RegionScanner scanner = region.getScanner(scan)) {
      List<Cell> row = new ArrayList<>();
      boolean more;
      do {
        more = scanner.next(row);
        for (Cell cell : row) {
          lines.println(Cells.GSON.toJson(Cells.toJson(cell)));
        }
        row.clear();
      } while (more);
    }
  }

  private static KeyValue cell(int row, Tag... tags) {
    return new KeyValue(bytes("row-" + row), A, bytes("q"), 1000 + row, KeyValue.Type.Put,
      bytes("value-" + row), List.of(tags));
  }

  /** Writes a small log with HBase's writer; `cells` are the cells of its entries. */
  private void log(String name, Configuration settings, boolean close, Cell[]... cells) throws Exception {
    File log = new File(out, "small/" + name);
    Files.createDirectories(log.getParentFile().toPath());
    WALProvider.Writer writer = WALFactory.createWALWriter(fs, new Path(log.toURI()), settings);
    long sequence = 5;
    for (Cell[] one : cells) {
      WALEdit edit = new WALEdit();
      for (Cell cell : one) {
        edit.add(cell);
      }
      WALKeyImpl key = new WALKeyImpl(bytes("1745fe77bf33478747262bea55877f36"), TABLE, sequence++,
        1795161493542L, HConstants.DEFAULT_CLUSTER_ID);
      writer.append(new WAL.Entry(key, edit));
    }
    writer.sync(true);
    if (close) {
      writer.close();
    } else {
      byte[] written = Files.readAllBytes(log.toPath());
      writer.close();
      Files.write(log.toPath(), written);
    }
    print(log, "small-read");
  }

  private void small() throws Exception {
    Cell[] one = { cell(1) };
    Cell[] two = { cell(2), cell(3) };
    log("closed", conf, true, one, two);
    log("open", conf, false, one, two);
    Configuration compressed = new Configuration(conf);
    compressed.setBoolean(HConstants.ENABLE_WAL_COMPRESSION, true);
    compressed.setBoolean("hbase.regionserver.wal.value.enablecompression", true);
    log("compressed", compressed, true, one, two);
    Cell[] tagged = { cell(4, new ArrayBackedTag((byte) 64, "ab"), new ArrayBackedTag((byte) 65, "")) };
    log("tags", conf, true, one, tagged, two);
  }

  /** {@code --out DIR} */
  public static void main(String[] argv) throws Exception {
    Settings.Args args = new Settings.Args(argv);
    File work = Files.createTempDirectory("hregion-wal").toFile();
    EncryptedWal made = new EncryptedWal(work, new File(args.get("out", "encrypted")).getAbsoluteFile());
    made.region();
    made.small();
    FileUtil.fullyDelete(work);
    System.exit(0);
  }
}
