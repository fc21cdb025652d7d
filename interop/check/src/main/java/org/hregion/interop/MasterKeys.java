package org.hregion.interop;

import java.security.Key;
import javax.crypto.spec.SecretKeySpec;
import org.apache.hadoop.hbase.io.crypto.KeyProvider;

/** The master key and the alternate one. A key's name is its length; its bytes are 0, 1, 2 and so on. */
public final class MasterKeys implements KeyProvider {
  @Override
  public void init(String parameters) {
    // needs no parameters
  }

  @Override
  public Key getKey(String alias) {
    byte[] key = new byte[Integer.parseInt(alias)];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) i;
    }
    return new SecretKeySpec(key, "AES");
  }

  @Override
  public Key[] getKeys(String[] aliases) {
    Key[] keys = new Key[aliases.length];
    for (int i = 0; i < keys.length; i++) {
      keys[i] = getKey(aliases[i]);
    }
    return keys;
  }
}
