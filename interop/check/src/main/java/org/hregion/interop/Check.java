package org.hregion.interop;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.fs.HFileSystem;
import org.apache.hadoop.hbase.io.compress.Compression;
import org.apache.hadoop.hbase.io.hfile.FixedFileTrailer;

/**
 * Opens files with HBase and checks their contents.
 *
 * <pre>Check FILE|DIRECTORY... [--cells CELLS.jsonl] [--codecs NONE,GZ] [--print]</pre>
 *
 * Compares the cells of a file with the JSON lines beside it ({@code NAME.jsonl} for {@code NAME.hfile}), if
 * they exist; {@code --cells} names the JSON lines for a single file. Prints a JSON line for each file. The
 * exit status is 1 if there are findings, and 2 for wrong arguments. Files with codecs that are not listed
 * are counted but not checked.
 */
public final class Check {
  private final Configuration conf = configuration();
  private final FileSystem fs;
  private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
  private int files;
  private int wrong;
  private int skipped;
  private long cells;

  private Check() throws IOException {
    fs = new HFileSystem(conf, true);
  }

  public static void main(String[] args) throws IOException {
    List<File> files = new ArrayList<>();
    Set<Compression.Algorithm> codecs = EnumSet.allOf(Compression.Algorithm.class);
    File lines = null;
    boolean print = false;
    for (int i = 0; i < args.length; i++) {
      switch (args[i]) {
        case "--cells" -> lines = new File(args[++i]);
        case "--codecs" -> codecs = parseCodecs(args[++i]);
        case "--print" -> print = true;
        default -> addFiles(new File(args[i]), files);
      }
    }
    if (files.isEmpty() || lines != null && files.size() > 1) {
      System.err.println("usage: Check FILE|DIRECTORY... [--cells CELLS.jsonl] [--codecs NONE,GZ] [--print]");
      System.exit(2);
    }
    Check check = new Check();
    for (File file : files) {
      check.file(file, lines == null ? beside(file) : lines, codecs, print);
    }
    check.finish();
  }

  private static void addFiles(File file, List<File> files) {
    File[] inside = file.listFiles((dir, name) -> name.endsWith(".hfile"));
    if (inside == null) {
      files.add(file);
      return;
    }
    Arrays.sort(inside);
    files.addAll(List.of(inside));
  }

  private static Set<Compression.Algorithm> parseCodecs(String names) {
    Set<Compression.Algorithm> codecs = EnumSet.noneOf(Compression.Algorithm.class);
    for (String name : names.split(",")) {
      codecs.add(Compression.Algorithm.valueOf(name));
    }
    return codecs;
  }

  private static File beside(File file) {
    File lines = new File(file.getPath().replaceFirst("\\.hfile$", "") + ".jsonl");
    return lines.exists() ? lines : null;
  }

  private void file(File file, File lines, Set<Compression.Algorithm> codecs, boolean print) {
    Findings findings = new Findings();
    Path path = new Path(file.getAbsoluteFile().toURI());
    try {
      if (!codecs.contains(codecOf(path))) {
        skipped++;
        return;
      }
      cells += new OneFile(fs, path, conf, findings).check(lines, print ? out : null);
    } catch (IOException | RuntimeException | LinkageError | AssertionError e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        findings.add("failed: " + cause + where(cause));
      }
    }
    files++;
    wrong += findings.isEmpty() ? 0 : 1;
    out.println("{\"file\":" + Json.quoted(file.getName()) + "," + findings.json() + "}");
  }

  private static String where(Throwable e) {
    return e.getStackTrace().length == 0 ? "" : " at " + e.getStackTrace()[0];
  }

  private Compression.Algorithm codecOf(Path path) throws IOException {
    try (FSDataInputStream in = fs.open(path)) {
      return FixedFileTrailer.readFromStream(in, fs.getFileStatus(path).getLen()).getCompressionCodec();
    }
  }

  private void finish() {
    out.println("{\"summary\":{\"files\":" + files + ",\"wrong\":" + wrong + ",\"skipped\":" + skipped
        + ",\"cells\":" + cells + "}}");
    out.flush();
    System.exit(wrong == 0 ? 0 : 1);
  }

  private static Configuration configuration() {
    Configuration conf = HBaseConfiguration.create();
    conf.set("fs.defaultFS", "file:///");
    conf.set("hbase.rootdir", new File(System.getProperty("java.io.tmpdir")).toURI().toString());
    return conf;
  }
}
