package hregion.oracle;

import org.apache.hadoop.hbase.util.EnvironmentEdge;

/** HBase's clock, which only the script advances. */
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
