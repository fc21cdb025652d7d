package hregion.cluster;

import java.io.File;
import java.io.IOException;
import java.util.Optional;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.coprocessor.ObserverContext;
import org.apache.hadoop.hbase.coprocessor.RegionCoprocessor;
import org.apache.hadoop.hbase.coprocessor.RegionCoprocessorEnvironment;
import org.apache.hadoop.hbase.coprocessor.RegionObserver;

/**
 * Delays the opening of user regions while the file named by {@code hregion.hold} exists, so that
 * regions in transition, and recovered edits before their replay, can be captured.
 */
public class Hold implements RegionCoprocessor, RegionObserver {
  static final String FILE = "hregion.hold";

  @Override
  public Optional<RegionObserver> getRegionObserver() {
    return Optional.of(this);
  }

  @Override
  public void preOpen(ObserverContext<RegionCoprocessorEnvironment> c)
    throws IOException {
    RegionInfo region = c.getEnvironment().getRegionInfo();
    String hold = c.getEnvironment().getConfiguration().get(FILE);
    if (hold == null || region.getTable().isSystemTable()) {
      return;
    }
    while (new File(hold).exists()) {
      try {
        Thread.sleep(100);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException(e);
      }
    }
  }
}
