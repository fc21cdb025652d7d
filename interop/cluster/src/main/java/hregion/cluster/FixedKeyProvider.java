package hregion.cluster;

import java.security.Key;
import java.util.Arrays;
import javax.crypto.spec.SecretKeySpec;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.io.crypto.KeyProvider;
import org.apache.hadoop.hbase.util.Bytes;

/** Returns the same AES key for every name. The configuration has the key in hexadecimal. */
public final class FixedKeyProvider implements KeyProvider {
  private Key key;

  static void configure(Configuration conf, String hexKey) {
    conf.set(HConstants.CRYPTO_KEYPROVIDER_CONF_KEY, FixedKeyProvider.class.getName());
    conf.set(HConstants.CRYPTO_KEYPROVIDER_PARAMETERS_KEY, hexKey);
    conf.set(HConstants.CRYPTO_MASTERKEY_NAME_CONF_KEY, "master");
  }

  @Override
  public void init(String parameters) {
    key = new SecretKeySpec(Bytes.fromHex(parameters), "AES");
  }

  @Override
  public Key getKey(String alias) {
    return key;
  }

  @Override
  public Key[] getKeys(String[] aliases) {
    Key[] keys = new Key[aliases.length];
    Arrays.fill(keys, key);
    return keys;
  }
}
