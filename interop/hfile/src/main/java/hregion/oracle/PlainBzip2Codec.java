package hregion.oracle;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.io.compress.BZip2Codec;

/**
 * Hadoop's bzip2 streams in Java. Without the native library, HBase cannot use Hadoop's own codec class: the
 * placeholder compressor of that class throws when HBase reads its state.
 */
public final class PlainBzip2Codec extends StreamCodec {
  private final BZip2Codec codec = new BZip2Codec();

  public PlainBzip2Codec() {
    codec.setConf(new Configuration());
  }

  @Override
  OutputStream compress(OutputStream out) throws IOException {
    return codec.createOutputStream(out);
  }

  @Override
  InputStream decompress(InputStream in) throws IOException {
    return codec.createInputStream(in);
  }
}
