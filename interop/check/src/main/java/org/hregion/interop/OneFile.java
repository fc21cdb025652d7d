package org.hregion.interop;

import java.io.BufferedReader;
import java.io.DataInput;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.KeyValue;
import org.apache.hadoop.hbase.KeyValueUtil;
import org.apache.hadoop.hbase.io.HFileLink;
import org.apache.hadoop.hbase.io.hfile.CacheConfig;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.regionserver.HStoreFile;
import org.apache.hadoop.hbase.regionserver.StoreFileInfo;
import org.apache.hadoop.hbase.util.BloomFilter;
import org.apache.hadoop.hbase.util.BloomFilterFactory;
import org.apache.hadoop.hbase.util.Bytes;

/** Checks one file. Keeps its cells in memory. */
final class OneFile {
  private final FileSystem fs;
  private final Path path;
  private final Configuration conf;
  private final Findings findings;
  private final List<KeyValue> cells = new ArrayList<>();
  private HFile.Reader reader;

  OneFile(FileSystem fs, Path path, Configuration conf, Findings findings) {
    this.fs = fs;
    this.path = path;
    this.conf = conf;
    this.findings = findings;
  }

  /** Runs all checks. Returns the number of cells. */
  long check(File lines, PrintStream print) throws IOException {
    reader = HFile.createReader(fs, path, new CacheConfig(conf), true, conf);
    try {
      boolean encrypted = path.getName().startsWith("encrypted");
      findings.expect("encrypted", encrypted, reader.getTrailer().getEncryptionKey() != null);
      scan(lines, print);
      new Seeks(reader, conf, cells, findings).check();
      ends();
      Map<byte[], byte[]> info = reader.getHFileInfo();
      new Info(info, reader, cells, findings).check();
      blooms(info);
    } finally {
      reader.close();
    }
    storeFile();
    // HBase only counts mismatches, and rereads the block without its checksums
    findings.expect("checksums that do not match", 0L, HFile.getAndResetChecksumFailuresCount());
    return cells.size();
  }

  private void scan(File lines, PrintStream print) throws IOException {
    boolean withSequenceIds = reader.getHFileInfo().shouldIncludeMemStoreTS();
    HFileScanner scanner = Scanners.open(reader, conf);
    try (BufferedReader expected = lines == null ? null : Files.newBufferedReader(lines.toPath(), StandardCharsets.UTF_8)) {
      boolean more = scanner.seekTo();
      while (more) {
        Cell cell = scanner.getCell();
        String line = Json.cell(cell, withSequenceIds, true);
        if (print != null) {
          print.println(line);
        }
        if (expected != null) {
          findings.expect("cell " + cells.size(), expected.readLine(), line);
        }
        KeyValue copy = KeyValueUtil.copyToNewKeyValue(cell);
        copy.setSequenceId(cell.getSequenceId());
        if (!cells.isEmpty() && Seeks.compare(reader, cells.get(cells.size() - 1), copy) > 0) {
          findings.add("cell " + cells.size() + " sorts before the previous cell");
        }
        cells.add(copy);
        more = scanner.next();
      }
      if (expected != null) {
        findings.expect("line after the last cell", null, expected.readLine());
      }
    } finally {
      scanner.close();
    }
    findings.expect("entries", (long) cells.size(), reader.getEntries());
  }

  /** Checks the first key, the last key and the mid key. */
  private void ends() throws IOException {
    boolean empty = cells.isEmpty();
    findings.expect("has a first key", !empty, reader.getFirstKey().isPresent());
    findings.expect("has a last key", !empty, reader.getLastKey().isPresent());
    if (empty || !reader.getFirstKey().isPresent() || !reader.getLastKey().isPresent()) {
      return; // some release lines throw for the mid key of an empty file
    }
    Cell first = cells.get(0);
    Cell last = cells.get(cells.size() - 1);
    findings.expect("first key", 0, Seeks.compare(reader, first, reader.getFirstKey().get()));
    findings.expect("last key", 0, Seeks.compare(reader, last, reader.getLastKey().get()));
    if (!reader.midKey().isPresent()) {
      findings.add("no mid key");
      return;
    }
    Cell middle = reader.midKey().get();
    if (Seeks.compare(reader, middle, first) < 0 || Seeks.compare(reader, middle, last) > 0) {
      findings.add("the mid key is not between the first and the last key");
    }
  }

  private void blooms(Map<byte[], byte[]> info) throws IOException {
    byte[] type = info.get(Bytes.toBytes("BLOOM_FILTER_TYPE"));
    DataInput general = reader.getGeneralBloomFilterMetadata();
    findings.expect("has a general Bloom filter", type != null, general != null);
    if (type != null && general != null) {
      BloomFilter filter = BloomFilterFactory.createFromMeta(general, reader);
      BloomType bloomType = BloomType.valueOf(Bytes.toString(type));
      Blooms.general(filter, bloomType, info, cells, findings);
    }
    DataInput deletes = reader.getDeleteBloomFilterMetadata();
    BloomFilter filter = deletes == null ? null : BloomFilterFactory.createFromMeta(deletes, reader);
    // with ROWCOL, HBase uses the general filter instead
    boolean mayLack = type != null && Bytes.toString(type).equals("ROWCOL");
    Blooms.deletedRows(filter, mayLack || info.get(Bytes.toBytes("TIMERANGE")) == null, cells, findings);
  }

  /** Opens the file as a store does, and checks its sequence id and entries. */
  private void storeFile() throws IOException {
    StoreFileInfo found = new StoreFileInfo(conf, fs, fs.getFileStatus(path), (HFileLink) null);
    HStoreFile file = new HStoreFile(found, BloomType.NONE, new CacheConfig(conf));
    file.initReader();
    try {
      byte[] seqId = file.getMetadataValue(HStoreFile.MAX_SEQ_ID_KEY);
      if (seqId != null) {
        findings.expect("max sequence id of the store file", Bytes.toLong(seqId), file.getMaxSequenceId());
      }
      findings.expect("entries of the store file", (long) cells.size(), file.getReader().getEntries());
    } finally {
      file.closeStoreFile(true);
    }
  }
}
