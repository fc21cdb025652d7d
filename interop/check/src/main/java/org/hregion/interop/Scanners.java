package org.hregion.interop;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.io.hfile.HFile;
import org.apache.hadoop.hbase.io.hfile.HFileScanner;

/** Calls the one method whose parameters differ between release lines. */
final class Scanners {
  private Scanners() {}

  static HFileScanner open(HFile.Reader reader, Configuration conf) {
    try {
      try {
        Method method = HFile.Reader.class.getMethod("getScanner", Configuration.class, boolean.class, boolean.class);
        return (HFileScanner) method.invoke(reader, conf, false, true);
      } catch (NoSuchMethodException e) {
        Method method = HFile.Reader.class.getMethod("getScanner", boolean.class, boolean.class);
        return (HFileScanner) method.invoke(reader, false, true);
      }
    } catch (NoSuchMethodException | IllegalAccessException | InvocationTargetException e) {
      throw new IllegalStateException(e);
    }
  }
}
