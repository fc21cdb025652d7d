package hregion.oracle;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.apache.hadoop.hbase.regionserver.ScanCall;
import org.apache.hadoop.hbase.util.EnvironmentEdgeManager;

/** {@code hb-replay [--keep DIR] [--plain] [--lazy-seek] [--into DIR] SCRIPT...} */
public final class Main {
  private final Clock clock = new Clock();
  private final List<Path> scripts = new ArrayList<>();
  private Path keep;
  private Path into;
  private boolean plain;
  private boolean lazySeek;

  public static void main(String[] args) throws Exception {
    Main main = new Main();
    main.parse(args);
    boolean ok = main.run();
    // HBase's timer threads are still running.
    System.exit(ok ? 0 : 1);
  }

  private void parse(String[] args) {
    for (int i = 0; i < args.length; i++) {
      switch (args[i]) {
        case "--keep":
          keep = Paths.get(args[++i]).toAbsolutePath();
          break;
        case "--into":
          into = Paths.get(args[++i]);
          break;
        case "--plain":
          plain = true;
          break;
        case "--lazy-seek":
          lazySeek = true;
          break;
        default:
          scripts.add(Paths.get(args[i]));
      }
    }
  }

  private boolean run() throws Exception {
    ScanCall.lazySeek(lazySeek);
    EnvironmentEdgeManager.injectEdge(clock);
    boolean ok = true;
    for (Path script : scripts) {
      try (PrintStream out = output(script)) {
        replay(script, out);
      } catch (Exception e) {
        System.err.println(script + ": " + e);
        ok = false;
      }
    }
    return ok;
  }

  private PrintStream output(Path script) throws IOException {
    if (into == null) {
      return new PrintStream(System.out, true, StandardCharsets.UTF_8);
    }
    Files.createDirectories(into);
    String name = script.getFileName().toString().replaceFirst("\\.script\\.jsonl(\\.gz)?$", "");
    return new PrintStream(into.resolve(name + ".expect.jsonl").toFile(), StandardCharsets.UTF_8);
  }

  private void replay(Path script, PrintStream out) throws Exception {
    Path dir = keep != null ? Files.createDirectories(keep) : Files.createTempDirectory("hb");
    try (BufferedReader lines = open(script); Replay replay = new Replay(clock, dir, plain, out)) {
      new Watch(replay, lines).run();
    } finally {
      if (keep == null) {
        delete(dir);
      }
    }
  }

  private static BufferedReader open(Path script) throws IOException {
    InputStream in = Files.newInputStream(script);
    if (script.toString().endsWith(".gz")) {
      in = new GZIPInputStream(in);
    }
    return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
  }

  private static void delete(Path dir) throws IOException {
    List<Path> all;
    try (Stream<Path> tree = Files.walk(dir)) {
      all = tree.sorted(Comparator.reverseOrder()).collect(Collectors.toList());
    }
    for (Path p : all) {
      Files.deleteIfExists(p);
    }
  }
}
