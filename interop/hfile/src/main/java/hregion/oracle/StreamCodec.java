package hregion.oracle;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.apache.hadoop.conf.Configurable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.io.compress.CompressionCodec;
import org.apache.hadoop.io.compress.CompressionInputStream;
import org.apache.hadoop.io.compress.CompressionOutputStream;
import org.apache.hadoop.io.compress.Compressor;
import org.apache.hadoop.io.compress.Decompressor;

/** A codec based on a pair of Java streams: one complete stream per block, no framing. */
abstract class StreamCodec implements CompressionCodec, Configurable {
  private Configuration conf;

  abstract OutputStream compress(OutputStream out) throws IOException;

  abstract InputStream decompress(InputStream in) throws IOException;

  @Override
  public CompressionOutputStream createOutputStream(OutputStream out) {
    return new Out(out);
  }

  @Override
  public CompressionOutputStream createOutputStream(OutputStream out, Compressor c) {
    return new Out(out);
  }

  @Override
  public CompressionInputStream createInputStream(InputStream in) throws IOException {
    return new In(in);
  }

  @Override
  public CompressionInputStream createInputStream(InputStream in, Decompressor d)
    throws IOException {
    return new In(in);
  }

  @Override
  public Class<? extends Compressor> getCompressorType() {
    return IdleCompressor.class;
  }

  @Override
  public Compressor createCompressor() {
    return new IdleCompressor();
  }

  @Override
  public Class<? extends Decompressor> getDecompressorType() {
    return IdleCompressor.class;
  }

  @Override
  public Decompressor createDecompressor() {
    return new IdleCompressor();
  }

  @Override
  public String getDefaultExtension() {
    return ".stream";
  }

  @Override
  public void setConf(Configuration c) {
    conf = c;
  }

  @Override
  public Configuration getConf() {
    return conf;
  }

  /** Opens the stream at the first byte, or in finish; closes it in finish. */
  private final class Out extends CompressionOutputStream {
    private OutputStream stream;

    Out(OutputStream out) {
      super(out);
    }

    private OutputStream stream() throws IOException {
      if (stream == null) {
        stream = compress(new Unclosed(out));
      }
      return stream;
    }

    @Override
    public void write(int b) throws IOException {
      stream().write(b);
    }

    @Override
    public void write(byte[] b, int off, int len) throws IOException {
      stream().write(b, off, len);
    }

    @Override
    public void finish() throws IOException {
      stream().close();
      stream = null;
    }

    @Override
    public void flush() throws IOException {
      out.flush();
    }

    @Override
    public void resetState() {
      stream = null;
    }
  }

  private final class In extends CompressionInputStream {
    private InputStream stream;

    In(InputStream in) throws IOException {
      super(in);
    }

    private InputStream stream() throws IOException {
      if (stream == null) {
        stream = decompress(in);
      }
      return stream;
    }

    @Override
    public int read() throws IOException {
      return stream().read();
    }

    @Override
    public int read(byte[] b, int off, int len) throws IOException {
      return stream().read(b, off, len);
    }

    @Override
    public void resetState() {
      stream = null;
    }
  }

  /** Keeps the block's buffer open when the codec's stream ends. */
  private static final class Unclosed extends FilterOutputStream {
    Unclosed(OutputStream out) {
      super(out);
    }

    @Override
    public void write(byte[] b, int off, int len) throws IOException {
      out.write(b, off, len);
    }

    @Override
    public void close() throws IOException {
      out.flush();
    }
  }
}
