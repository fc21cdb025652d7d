package hregion.oracle;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.regionserver.HStoreFile;
import org.apache.hadoop.hbase.regionserver.StoreConfigInformation;
import org.apache.hadoop.hbase.regionserver.compactions.CompactionRequestImpl;
import org.apache.hadoop.hbase.regionserver.compactions.ExploringCompactionPolicy;

/** Selects the files named by the script, counted from the oldest, of any size. */
public final class ChosenFiles extends ExploringCompactionPolicy {
  static int from;
  static int count;

  public ChosenFiles(Configuration conf, StoreConfigInformation store) {
    super(conf, store);
  }

  @Override
  public CompactionRequestImpl selectCompaction(Collection<HStoreFile> candidates,
    List<HStoreFile> compacting, boolean user, boolean offPeak, boolean forceMajor)
    throws IOException {
    List<HStoreFile> files = new ArrayList<>(candidates);
    // A bulk-loaded file has the sequence id of the flush before it; HBase would compare file lengths next.
    files.sort(Comparator.comparingLong(HStoreFile::getMaxSequenceId)
      .thenComparing(HStoreFile::isBulkLoadResult));
    int begin = Math.min(from, files.size());
    int end = (int) Math.min((long) begin + count, files.size());
    CompactionRequestImpl request =
      new CompactionRequestImpl(new ArrayList<>(files.subList(begin, end)));
    boolean all = end - begin == files.size();
    request.setIsMajor(all, all);
    return request;
  }
}
