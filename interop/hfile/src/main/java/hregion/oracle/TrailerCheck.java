package hregion.oracle;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.hbase.io.hfile.FixedFileTrailer;
import org.apache.hadoop.hbase.io.hfile.HFile;

/** Compares the trailer with the block headers. */
final class TrailerCheck {
  private static final int HEADER = 33;

  private final List<RawBlocks.Block> blocks;
  private final FixedFileTrailer trailer;
  private final CellStats stats;
  private final Findings findings;

  TrailerCheck(String file, HFile.Reader reader, CellStats stats, Findings findings)
    throws IOException {
    this.blocks = RawBlocks.read(file);
    this.trailer = reader.getTrailer();
    this.stats = stats;
    this.findings = findings;
  }

  void run() {
    findings.same("entry_count", trailer.getEntryCount(), stats.cells);
    long first = -1;
    long last = -1;
    long total = trailer.getTrailerSize();
    Map<String, Long> chains = new HashMap<>();
    for (RawBlocks.Block b : blocks) {
      if (b.isData()) {
        first = first < 0 ? b.offset() : first;
        last = b.offset();
      }
      boolean dataRoot = b.offset() == trailer.getLoadOnOpenDataOffset();
      if (!b.type().equals("INTERMEDIATE_INDEX") && !dataRoot) {
        total += b.plain() + HEADER;
      }
      String chain = b.isData() ? "DATA" : b.type();
      findings.addIf(b.prev() != chains.getOrDefault(chain, -1L),
        b.type() + " at " + b.offset() + ": previous block " + b.prev() + ", should be "
          + chains.getOrDefault(chain, -1L));
      chains.put(chain, b.offset());
      checksumRoom(b);
    }
    if (stats.cells > 0) {
      findings.same("first_data_block_offset", trailer.getFirstDataBlockOffset(), first);
      findings.same("last_data_block_offset", trailer.getLastDataBlockOffset(), last);
    }
    findings.same("total_uncompressed_bytes", trailer.getTotalUncompressedBytes(), total);
    findings.addIf(
      blocks.stream().noneMatch(b -> b.offset() == trailer.getFileInfoOffset()
        && b.type().equals("FILE_INFO")),
      "file_info_offset is not that of the FILE_INFO block");
  }

  private void checksumRoom(RawBlocks.Block b) {
    if (b.bytesPerChecksum() < 1) {
      findings.add("bytes per checksum " + b.bytesPerChecksum() + " at " + b.offset());
      return;
    }
    int chunks = (b.onDiskData() + b.bytesPerChecksum() - 1) / b.bytesPerChecksum();
    findings.addIf(b.onDiskData() + 4 * chunks != b.size(),
      "block at " + b.offset() + ": " + chunks + " checksums do not fill it");
  }
}
