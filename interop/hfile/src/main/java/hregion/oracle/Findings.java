package hregion.oracle;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** The faults found in a file; at most a few lines for each kind. */
final class Findings {
  private static final int MAX = 40;

  final List<String> list = new ArrayList<>();

  void add(String finding) {
    if (list.size() < MAX) {
      list.add(finding);
    }
  }

  void addIf(boolean wrong, String finding) {
    if (wrong) {
      add(finding);
    }
  }

  void same(String what, Object stored, Object counted) {
    addIf(!Objects.equals(stored, counted), what + " is " + stored + ", should be " + counted);
  }
}
