package hregion.oracle;

import com.github.luben.zstd.ZstdInputStream;
import com.github.luben.zstd.ZstdOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * Zstandard without framing, as written by Hadoop's ZStandardCodec. That class needs a native library, which
 * no published artifact has.
 */
public final class BareZstdCodec extends StreamCodec {
  @Override
  OutputStream compress(OutputStream out) throws IOException {
    return new ZstdOutputStream(out);
  }

  @Override
  InputStream decompress(InputStream in) throws IOException {
    return new ZstdInputStream(in);
  }
}
