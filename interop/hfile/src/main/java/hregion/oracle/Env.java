package hregion.oracle;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.fs.HFileSystem;
import org.apache.hadoop.hbase.io.compress.Compression;

/** Configuration and file system of one command. */
final class Env {
  private static final int ZSTD_MAGIC = 0x28b52ffd;
  private static final String AIR = "org.apache.hadoop.hbase.io.compress.aircompressor.";

  final Configuration conf;
  final FileSystem fs;

  Env(Args args) throws IOException {
    conf = HBaseConfiguration.create();
    conf.set("fs.defaultFS", "file:///");
    conf.set("hbase.rootdir", "file:///tmp");
    conf.setBoolean("hbase.rs.prefetchblocksonopen", false);
    conf.set("hbase.io.compress.snappy.codec",
      "org.apache.hadoop.hbase.io.compress.xerial.SnappyCodec");
    conf.set("hbase.io.compress.lz4.codec", "org.apache.hadoop.hbase.io.compress.lz4.Lz4Codec");
    conf.set("hbase.io.compress.zstd.codec", "org.apache.hadoop.hbase.io.compress.zstd.ZstdCodec");
    conf.set("hbase.io.compress.lzo.codec", AIR + "LzoCodec");
    conf.set("hbase.io.compress.bzip2.codec", PlainBzip2Codec.class.getName());
    conf.set("hbase.io.compress.brotli.codec",
      "org.apache.hadoop.hbase.io.compress.brotli.BrotliCodec");
    if (args.given("master-key")) {
      FixedKeyProvider.configure(conf, args.need("master-key"));
    }
    for (String pair : args.all("conf")) {
      int eq = pair.indexOf('=');
      conf.set(pair.substring(0, eq), pair.substring(eq + 1));
    }
    if (args.given("zstd-dictionary")) {
      conf.set("hbase.io.compress.zstd.dictionary",
        "file:" + new File(args.need("zstd-dictionary")).getAbsolutePath());
    }
    reloadCodecs();
    fs = new HFileSystem(conf, true);
  }

  /** Recreates the codec objects, which the process caches, with this configuration. */
  private void reloadCodecs() {
    for (Compression.Algorithm a : Compression.Algorithm.values()) {
      try {
        a.reload(conf);
      } catch (RuntimeException | LinkageError e) {
        continue; // its class or library is missing; using the codec reports that
      }
    }
  }

  /** Sets {@code hbase.io.compress.NAME.codec}. */
  void useCodec(String algorithm, String className) {
    conf.set("hbase.io.compress." + algorithm.toLowerCase() + ".codec", className);
    reloadCodecs();
  }

  /** Selects the class for ZSTD by the first block: the trailer does not show whether payloads are framed. */
  void chooseZstd(String file) throws IOException {
    try (RandomAccessFile in = new RandomAccessFile(file, "r")) {
      if (in.length() < 64) {
        return;
      }
      in.seek(33);
      if (in.readInt() == ZSTD_MAGIC) {
        useCodec("zstd", BareZstdCodec.class.getName());
      }
    }
  }

  Path path(String file) {
    return new Path(new File(file).getAbsoluteFile().toURI());
  }
}
