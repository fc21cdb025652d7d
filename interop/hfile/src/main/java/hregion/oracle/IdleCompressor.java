package hregion.oracle;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.io.compress.Compressor;
import org.apache.hadoop.io.compress.Decompressor;
import org.apache.hadoop.io.compress.DoNotPool;

/** A compressor that does nothing. HBase requires one for every codec; StreamCodec does not use it. */
@DoNotPool
final class IdleCompressor implements Compressor, Decompressor {
  @Override
  public void setInput(byte[] b, int off, int len) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean needsInput() {
    return true;
  }

  @Override
  public void setDictionary(byte[] b, int off, int len) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean needsDictionary() {
    return false;
  }

  @Override
  public boolean finished() {
    return false;
  }

  @Override
  public int compress(byte[] b, int off, int len) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int decompress(byte[] b, int off, int len) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void finish() {
    // no state
  }

  @Override
  public long getBytesRead() {
    return 0;
  }

  @Override
  public long getBytesWritten() {
    return 0;
  }

  @Override
  public int getRemaining() {
    return 0;
  }

  @Override
  public void reset() {
    // no state
  }

  @Override
  public void reinit(Configuration conf) {
    // no state
  }

  @Override
  public void end() {
    // no state
  }
}
