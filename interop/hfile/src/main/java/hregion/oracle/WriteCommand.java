package hregion.oracle;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellComparator;
import org.apache.hadoop.hbase.InnerStoreCellComparator;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.MetaCellComparator;
import org.apache.hadoop.hbase.io.compress.Compression;
import org.apache.hadoop.hbase.io.crypto.Encryption;
import org.apache.hadoop.hbase.io.encoding.DataBlockEncoding;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileContext;
import org.apache.hadoop.hbase.io.hfile.HFileContextBuilder;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.regionserver.StoreFileWriter;
import org.apache.hadoop.hbase.util.BloomFilterUtil;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.ChecksumType;
import org.apache.hadoop.io.Writable;

/** {@code write}: writes an HFile from a list of cells. */
final class WriteCommand {
  private final Args args;
  private final Env env;

  WriteCommand(Args args) throws IOException {
    this.args = args;
    this.env = new Env(args);
  }

  int run() throws IOException {
    applySettings(args, env);
    Iterable<? extends Cell> cells = CellJson.stream(args.need("cells"));
    if (args.has("sort")) {
      List<? extends Cell> list = CellJson.readAll(args.need("cells"));
      list.sort((a, b) -> comparator(args).compare(a, b));
      cells = list;
    }
    Path path = env.path(args.need("out"));
    env.fs.delete(path, false);
    boolean store = args.get("writer", "store").equals("store");
    if (store) {
      writeStoreFile(path, cells);
    } else {
      writeHFile(path, cells);
    }
    return 0;
  }

  /** Sets the configuration that HBase reads. */
  static void applySettings(Args args, Env env) {
    setInt(args, env, "index-chunk", "hfile.index.block.max.size");
    setInt(args, env, "index-min-entries", "hfile.index.block.min.entries");
    setInt(args, env, "bloom-chunk", "io.storefile.bloom.block.size");
    set(args, env, "bloom-error", "io.storefile.bloom.error.rate");
    set(args, env, "hash", "hbase.hash.type");
    set(args, env, "encoded-ratio", "hbase.writer.unified.encoded.blocksize.ratio");
    String bloom = args.get("bloom", "NONE");
    if (bloom.indexOf(':') > 0) {
      env.conf.set(BloomFilterUtil.PREFIX_LENGTH_KEY, bloom.substring(bloom.indexOf(':') + 1));
    }
    if (args.given("codec")) {
      env.useCodec(args.need("compression"), args.need("codec"));
    }
  }

  static BloomType bloomType(Args args) {
    String bloom = args.get("bloom", "NONE");
    int colon = bloom.indexOf(':');
    return BloomType.valueOf(colon > 0 ? bloom.substring(0, colon) : bloom);
  }

  static CellComparator comparator(Args args) {
    return args.get("comparator", "cell").equals("meta")
      ? MetaCellComparator.META_COMPARATOR
      : InnerStoreCellComparator.INNER_STORE_COMPARATOR;
  }

  private HFileContext context() throws IOException {
    HFileContextBuilder b = new HFileContextBuilder()
      .withBlockSize((int) args.number("blocksize", 65536))
      .withCompression(Compression.Algorithm.valueOf(args.get("compression", "NONE")))
      .withDataBlockEncoding(DataBlockEncoding.valueOf(args.get("encoding", "NONE")))
      .withChecksumType(ChecksumType.nameToType(args.get("checksum", "CRC32C")))
      .withBytesPerCheckSum((int) args.number("bytes-per-checksum", 16384))
      .withHBaseCheckSum(true)
      .withIncludesMvcc(args.has("mvcc"))
      .withIncludesTags(args.has("tags"))
      .withCompressTags(args.has("compress-tags"))
      .withCellComparator(comparator(args))
      .withCreateTime(args.number("create-time", 1700000000000L));
    if (args.given("encrypt")) {
      Encryption.Context crypto = Encryption.newContext(env.conf);
      crypto.setCipher(Encryption.getCipher(env.conf, "AES"));
      crypto.setKey(Bytes.fromHex(args.need("encrypt")));
      b.withEncryptionContext(crypto);
    }
    return b.build();
  }

  private void writeHFile(Path path, Iterable<? extends Cell> cells) throws IOException {
    try (HFile.Writer writer = HFile.getWriterFactoryNoCache(env.conf).withPath(env.fs, path)
      .withFileContext(context()).create()) {
      for (Cell cell : cells) {
        writer.append(cell);
      }
      for (String pair : args.all("meta-block")) {
        int eq = pair.indexOf('=');
        writer.appendMetaBlock(pair.substring(0, eq),
          new RawBytes(Binary.parse(pair.substring(eq + 1))));
      }
      for (byte[][] pair : fileInfo()) {
        writer.appendFileInfo(pair[0], pair[1]);
      }
    }
  }

  private void writeStoreFile(Path path, Iterable<? extends Cell> cells) throws IOException {
    StoreFileWriter writer = new StoreFileWriter.Builder(env.conf, env.fs).withFilePath(path)
      .withBloomType(bloomType(args)).withMaxKeyCount(Integer.MAX_VALUE).withFileContext(context())
      .withCellComparator(comparator(args)).build();
    try {
      for (Cell cell : cells) {
        writer.append(cell);
      }
      if (!args.has("bulkload")) {
        writer.appendMetadata(args.number("seqid", 1), args.has("major"));
      } else {
        writer.appendTrackedTimestampsToMetadata();
      }
      for (byte[][] pair : fileInfo()) {
        writer.appendFileInfo(pair[0], pair[1]);
      }
    } finally {
      writer.close();
    }
  }

  /** Appends additional file-info entries: {@code --info KEY=VALUE}, and those of a bulk load. */
  private List<byte[][]> fileInfo() {
    List<byte[][]> pairs = new ArrayList<>();
    if (args.has("bulkload")) {
      add(pairs, "BULKLOAD_TIMESTAMP", Bytes.toBytes(args.number("bulkload-time", 1700000000123L)));
      add(pairs, "BULKLOAD_SOURCE_TASK", Bytes.toBytes("attempt_0_0001_r_000000_0"));
      add(pairs, "MAJOR_COMPACTION_KEY", Bytes.toBytes(true));
      add(pairs, "EXCLUDE_FROM_MINOR_COMPACTION", Bytes.toBytes(args.has("exclude-minor")));
      if (args.has("skip-reset-seqid")) {
        add(pairs, "SKIP_RESET_SEQ_ID", Bytes.toBytes(true));
      }
    }
    for (String pair : args.all("info")) {
      int eq = pair.indexOf('=');
      add(pairs, pair.substring(0, eq), Binary.parse(pair.substring(eq + 1)));
    }
    return pairs;
  }

  private static void add(List<byte[][]> pairs, String key, byte[] value) {
    pairs.add(new byte[][] { Bytes.toBytes(key), value });
  }

  private static void setInt(Args args, Env env, String option, String key) {
    if (args.given(option)) {
      env.conf.setInt(key, (int) args.number(option, 0));
    }
  }

  private static void set(Args args, Env env, String option, String key) {
    if (args.given(option)) {
      env.conf.set(key, args.need(option));
    }
  }

  /** The payload of a META block. */
  private static final class RawBytes implements Writable {
    private final byte[] bytes;

    RawBytes(byte[] bytes) {
      this.bytes = bytes;
    }

    @Override
    public void write(DataOutput out) throws IOException {
      out.write(bytes);
    }

    @Override
    public void readFields(DataInput in) {
      throw new UnsupportedOperationException();
    }
  }
}
