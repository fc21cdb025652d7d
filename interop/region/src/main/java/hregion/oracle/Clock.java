package hregion.oracle;

import org.apache.hadoop.hbase.util.EnvironmentEdge;

/** The clock of HBase, which only the script moves. */
final class Clock implements EnvironmentEdge {
  private long now;

  void set(long millis) {
    now = millis;
  }

  @Override
  public long currentTime() {
    return now;
  }
}
