package hregion.oracle;

import java.io.ByteArrayInputStream;
import java.io.DataInput;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.FixedFileTrailer;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.RootIndex;
import org.apache.hadoop.hbase.shaded.protobuf.generated.HFileProtos;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.Gson;
import org.apache.hbase.thirdparty.com.google.gson.GsonBuilder;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonElement;
import org.apache.hbase.thirdparty.com.google.gson.JsonNull;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.gson.JsonParser;

/** {@code inspect}: prints the metadata that HBase reads when it opens a file. */
final class InspectCommand {
  private static final Gson PRETTY =
    new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().serializeNulls().create();
  private static final int LISTED = 20;
  private static final String[] HASHES = { "jenkins", "murmur", "murmur3" };

  private final Args args;

  InspectCommand(Args args) {
    this.args = args;
  }

  int run() throws IOException {
    for (String file : args.words) {
      Output.write(args.get("to", null), PRETTY.toJson(inspect(file)));
    }
    return 0;
  }

  private JsonObject inspect(String file) throws IOException {
    Env env = new Env(args);
    env.chooseZstd(file);
    JsonObject o = new JsonObject();
    try (HFile.Reader reader =
      HFile.createReader(env.fs, env.path(file), new CacheConfig(env.conf), true, env.conf)) {
      o.addProperty("length", reader.length());
      o.add("trailer", trailer(reader.getTrailer(), storedComparator(file)));
      Map<byte[], byte[]> info = new TreeMap<>(Bytes.BYTES_COMPARATOR);
      info.putAll(reader.getHFileInfo());
      info.remove(Bytes.toBytes("hfile.FILE_SIZE"));
      info.remove(Bytes.toBytes("hfile.FILE_PATH"));
      o.add("file_info", FileInfo.json(info));
      o.addProperty("encoding", reader.getDataBlockEncoding().name());
      o.add("first_key", key(reader.getFirstKey()));
      o.add("mid_key", reader.getEntries() == 0 ? JsonNull.INSTANCE : key(reader.midKey()));
      o.add("root_index", rootIndex(reader));
      o.add("general_bloom", bloom(reader.getGeneralBloomFilterMetadata()));
      o.add("delete_family_bloom", bloom(reader.getDeleteBloomFilterMetadata()));
    }
    o.add("blocks", blocks(file));
    return o;
  }

  static JsonObject trailer(FixedFileTrailer t, String comparator) {
    JsonObject o = new JsonObject();
    o.addProperty("major_version", t.getMajorVersion());
    o.addProperty("minor_version", t.getMinorVersion());
    o.addProperty("file_info_offset", t.getFileInfoOffset());
    o.addProperty("load_on_open_data_offset", t.getLoadOnOpenDataOffset());
    o.addProperty("uncompressed_data_index_size", t.getUncompressedDataIndexSize());
    o.addProperty("total_uncompressed_bytes", t.getTotalUncompressedBytes());
    o.addProperty("data_index_count", t.getDataIndexCount());
    o.addProperty("meta_index_count", t.getMetaIndexCount());
    o.addProperty("entry_count", t.getEntryCount());
    o.addProperty("num_data_index_levels", t.getNumDataIndexLevels());
    o.addProperty("first_data_block_offset", t.getFirstDataBlockOffset());
    o.addProperty("last_data_block_offset", t.getLastDataBlockOffset());
    o.addProperty("comparator_class_name", comparator);
    o.addProperty("compression_codec", t.getCompressionCodec().name());
    o.addProperty("encrypted", t.getEncryptionKey() != null);
    return o;
  }

  /** Returns the comparator name as stored; the trailer object has the class that HBase uses for it. */
  static String storedComparator(String file) throws IOException {
    try (RandomAccessFile in = new RandomAccessFile(file, "r")) {
      in.seek(in.length() - 4);
      byte[] body = new byte[((in.readInt() & 0xffffff) == 2 ? 212 : 4096) - 12];
      in.seek(in.length() - body.length - 4);
      in.readFully(body);
      return HFileProtos.FileTrailerProto.parseDelimitedFrom(new ByteArrayInputStream(body))
        .getComparatorClassName();
    }
  }

  private static JsonElement key(Optional<Cell> cell) {
    return cell.isPresent()
      ? JsonParser.parseString(CellJson.formatKey(cell.get()))
      : JsonNull.INSTANCE;
  }

  private static JsonArray rootIndex(HFile.Reader reader) throws IOException {
    RootIndex index = new RootIndex(reader);
    JsonArray root = new JsonArray();
    int count = index.count();
    for (int i = 0; i < count; i++) {
      if (count > 2 * LISTED && i == LISTED) {
        i = count - LISTED; // the middle of a long root is omitted
      }
      JsonObject e = new JsonObject();
      e.addProperty("entry", i);
      e.addProperty("first_data_block", index.dataBlock(i));
      e.add("key", JsonParser.parseString(CellJson.formatKey(index.key(i))));
      root.add(e);
    }
    return root;
  }

  private static JsonElement bloom(DataInput in) throws IOException {
    if (in == null) {
      return JsonNull.INSTANCE;
    }
    JsonObject o = new JsonObject();
    o.addProperty("version", in.readInt());
    o.addProperty("total_bytes", in.readLong());
    o.addProperty("hash_count", in.readInt());
    int hash = in.readInt();
    o.addProperty("hash", hash >= 0 && hash < HASHES.length ? HASHES[hash] : "unknown " + hash);
    o.addProperty("key_count", in.readLong());
    o.addProperty("max_keys", in.readLong());
    int chunks = in.readInt();
    o.addProperty("comparator", Bytes.toString(Bytes.readByteArray(in)));
    JsonArray list = new JsonArray();
    for (int i = 0; i < chunks; i++) {
      JsonObject c = new JsonObject();
      c.addProperty("offset", in.readLong());
      c.addProperty("size", in.readInt());
      c.addProperty("first_key", Binary.show(Bytes.readByteArray(in)));
      list.add(c);
    }
    o.add("chunks", list);
    return o;
  }

  private JsonElement blocks(String file) throws IOException {
    if (args.has("blocks")) {
      JsonArray list = new JsonArray();
      for (RawBlocks.Block b : RawBlocks.read(file)) {
        JsonObject o = new JsonObject();
        o.addProperty("offset", b.offset());
        o.addProperty("type", b.type());
        o.addProperty("on_disk_size", b.onDisk());
        o.addProperty("uncompressed_size", b.plain());
        o.addProperty("prev_block_offset", b.prev());
        o.addProperty("checksum_type", b.checksumType());
        o.addProperty("bytes_per_checksum", b.bytesPerChecksum());
        o.addProperty("on_disk_data_size_with_header", b.onDiskData());
        list.add(o);
      }
      return list;
    }
    Map<String, Integer> counts = new TreeMap<>();
    for (RawBlocks.Block b : RawBlocks.read(file)) {
      counts.merge(b.type(), 1, Integer::sum);
    }
    JsonObject o = new JsonObject();
    counts.forEach(o::addProperty);
    return o;
  }
}
