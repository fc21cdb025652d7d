package hregion.cluster;

import java.io.FilterInputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketAddress;
import javax.net.SocketFactory;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * Sockets that record all bytes sent and received, in order. HBase's blocking RPC client takes its
 * sockets from {@code hadoop.rpc.socket.factory.class.default}.
 *
 * <p>One line per read or write: connection, direction, hex.
 */
public class Recorder extends SocketFactory {
  private static PrintWriter out;
  private static int connections;

  static synchronized void to(String path) throws IOException {
    out = new PrintWriter(path);
  }

  static synchronized void note(String line) {
    if (out != null) {
      out.println(line);
      out.flush();
    }
  }

  @Override
  public Socket createSocket() {
    return new Tapped();
  }

  @Override
  public Socket createSocket(String host, int port) throws IOException {
    return connected(new java.net.InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(String host, int port, InetAddress local, int localPort)
    throws IOException {
    return createSocket(host, port);
  }

  @Override
  public Socket createSocket(InetAddress host, int port) throws IOException {
    return connected(new java.net.InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort)
    throws IOException {
    return createSocket(host, port);
  }

  private static Socket connected(SocketAddress to) throws IOException {
    Socket s = new Tapped();
    s.connect(to);
    return s;
  }

  private static final class Tapped extends Socket {
    private final int id;

    Tapped() {
      synchronized (Recorder.class) {
        id = ++connections;
      }
    }

    @Override
    public void connect(SocketAddress to, int timeout) throws IOException {
      super.connect(to, timeout);
      note("open " + id + " 127.0.0.1:" + getPort());
    }

    @Override
    public InputStream getInputStream() throws IOException {
      return new FilterInputStream(super.getInputStream()) {
        @Override
        public int read() throws IOException {
          byte[] one = new byte[1];
          return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] b, int off, int len) throws IOException {
          int n = in.read(b, off, len);
          note(n < 0 ? "end " + id : "s2c " + id + " " + Bytes.toHex(b, off, n));
          return n;
        }
      };
    }

    @Override
    public OutputStream getOutputStream() throws IOException {
      return new FilterOutputStream(super.getOutputStream()) {
        @Override
        public void write(int b) throws IOException {
          write(new byte[] { (byte) b }, 0, 1);
        }

        @Override
        public void write(byte[] b, int off, int len) throws IOException {
          note("c2s " + id + " " + Bytes.toHex(b, off, len));
          out.write(b, off, len);
        }
      };
    }

    @Override
    public void close() throws IOException {
      note("close " + id);
      super.close();
    }
  }
}
