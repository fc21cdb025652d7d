package org.hregion.interop;

import java.util.ArrayList;
import java.util.List;

/** The faults found in a file. */
final class Findings {
  private static final int MAX_PRINTED = 20;

  private final List<String> list = new ArrayList<>();
  private int count;

  void add(String finding) {
    count++;
    if (list.size() < MAX_PRINTED) {
      list.add(finding);
    }
  }

  /** Adds a finding unless the two are equal. */
  void expect(String what, Object expected, Object found) {
    if (!java.util.Objects.equals(expected, found)) {
      add(what + ": expected " + expected + ", found " + found);
    }
  }

  boolean isEmpty() {
    return count == 0;
  }

  String json() {
    if (isEmpty()) {
      return "\"ok\":true";
    }
    List<String> quoted = list.stream().map(Json::quoted).toList();
    return "\"ok\":false,\"count\":" + count + ",\"findings\":[" + String.join(",", quoted) + "]";
  }
}
