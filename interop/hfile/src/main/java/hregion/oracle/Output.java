package hregion.oracle;

import java.io.BufferedOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.GZIPOutputStream;

/** The output of a command: standard output, or the file of {@code --to}, gzipped for *.gz. */
final class Output {
  private Output() {
  }

  static PrintStream open(String file) throws IOException {
    if (file == null) {
      return new PrintStream(new Unclosed(System.out), false, StandardCharsets.UTF_8);
    }
    OutputStream out = new FileOutputStream(file);
    if (file.endsWith(".gz")) {
      out = new GZIPOutputStream(out);
    }
    return new PrintStream(new BufferedOutputStream(out, 1 << 16), false, StandardCharsets.UTF_8);
  }

  static void write(String file, String line) throws IOException {
    try (PrintStream out = open(file)) {
      out.println(line);
    }
  }

  /** Keeps standard output open. */
  private static final class Unclosed extends BufferedOutputStream {
    Unclosed(OutputStream out) {
      super(out, 1 << 16);
    }

    @Override
    public void close() throws IOException {
      flush();
    }
  }
}
