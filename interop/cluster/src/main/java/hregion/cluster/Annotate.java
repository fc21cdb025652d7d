package hregion.cluster;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellScanner;
import org.apache.hadoop.hbase.codec.KeyValueCodec;
import org.apache.hadoop.hbase.shaded.protobuf.generated.ClientProtos;
import org.apache.hadoop.hbase.shaded.protobuf.generated.MasterProtos;
import org.apache.hadoop.hbase.shaded.protobuf.generated.RPCProtos;
import org.apache.hadoop.hbase.shaded.protobuf.generated.RegistryProtos;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.protobuf.CodedInputStream;
import org.apache.hbase.thirdparty.com.google.protobuf.Descriptors.MethodDescriptor;
import org.apache.hbase.thirdparty.com.google.protobuf.Descriptors.ServiceDescriptor;
import org.apache.hbase.thirdparty.com.google.protobuf.DynamicMessage;
import org.apache.hbase.thirdparty.com.google.protobuf.TextFormat;

/**
 * Cuts a recording of {@link Recorder} into frames and decodes them. {@code DIR/frames.jsonl} lists them in
 * the order of their last bytes; the offsets refer to the bytes in {@code DIR/conn-N.{c2s,s2c}.bin}.
 */
final class Annotate {
  private static final class Stream {
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int done;
    boolean greeted;
  }

  private static final class Conn {
    final Stream[] way = { new Stream(), new Stream() };
    final Map<Integer, String> calls = new HashMap<>();
    String service;
    boolean registering;
  }

  private final Map<Integer, Conn> conns = new TreeMap<>();
  private final PrintWriter out;

  private Annotate(PrintWriter out) {
    this.out = out;
  }

  private static ServiceDescriptor service(String name) {
    for (ServiceDescriptor s : List.of(ClientProtos.ClientService.getDescriptor(),
      RegistryProtos.ClientMetaService.getDescriptor(),
      MasterProtos.MasterService.getDescriptor())) {
      if (s.getName().equals(name)) {
        return s;
      }
    }
    return null;
  }

  private void line(String line) throws Exception {
    String[] part = line.split(" ", 3);
    int id = part[0].equals("op") ? 0 : Integer.parseInt(part[1]);
    switch (part[0]) {
      case "c2s":
      case "s2c":
        Conn c = conns.computeIfAbsent(id, k -> new Conn());
        int way = part[0].equals("c2s") ? 0 : 1;
        c.way[way].bytes.write(Bytes.fromHex(part[2]));
        while (frame(id, c, way)) {
          continue;
        }
        break;
      case "op":
        JsonObject op = new JsonObject();
        op.addProperty("command", line.substring(3));
        out.println(Cells.GSON.toJson(op));
        break;
      default:
        JsonObject o = new JsonObject();
        o.addProperty("conn", id);
        o.addProperty("event", part[0]);
        if (part.length > 2) {
          o.addProperty("remote", part[2]);
        }
        out.println(Cells.GSON.toJson(o));
    }
  }

  /** Takes a frame from a stream if it is complete. */
  private boolean frame(int id, Conn c, int way) throws Exception {
    Stream s = c.way[way];
    byte[] all = s.bytes.toByteArray();
    int left = all.length - s.done;
    JsonObject o = new JsonObject();
    o.addProperty("conn", id);
    o.addProperty("dir", way == 0 ? "c2s" : "s2c");
    o.addProperty("offset", s.done);
    int length;
    if (way == 0 && !s.greeted) {
      if (left < 6) {
        return false;
      }
      String head = Bytes.toStringBinary(all, s.done, 6);
      c.registering = !head.startsWith("HBas");
      length = 6;
      s.greeted = true;
      o.addProperty("kind", c.registering ? "registry preamble" : "preamble");
      o.addProperty("text", head);
    } else {
      if (left < 4 || left < 4 + Bytes.toInt(all, s.done)) {
        return false;
      }
      length = 4 + Bytes.toInt(all, s.done);
      byte[] body = Arrays.copyOfRange(all, s.done + 4, s.done + length);
      if (way == 0 && c.service == null) {
        RPCProtos.ConnectionHeader h = RPCProtos.ConnectionHeader.parseFrom(body);
        c.service = h.getServiceName();
        o.addProperty("kind", "connection header");
        o.addProperty("header", TextFormat.shortDebugString(h));
      } else if (way == 0) {
        request(c, body, o);
      } else {
        response(c, body, o);
      }
    }
    o.addProperty("length", length);
    s.done += length;
    out.println(Cells.GSON.toJson(o));
    return true;
  }

  private static byte[] delimited(CodedInputStream in) throws IOException {
    return in.readRawBytes(in.readRawVarint32());
  }

  private static void request(Conn c, byte[] body, JsonObject o) throws Exception {
    CodedInputStream in = CodedInputStream.newInstance(body);
    RPCProtos.RequestHeader h = RPCProtos.RequestHeader.parseFrom(delimited(in));
    o.addProperty("kind", "request");
    o.addProperty("call_id", h.getCallId());
    o.addProperty("method", h.getMethodName());
    o.addProperty("header", TextFormat.shortDebugString(h));
    c.calls.put(h.getCallId(), h.getMethodName());
    MethodDescriptor m =
      service(c.service) == null ? null : service(c.service).findMethodByName(h.getMethodName());
    if (h.getRequestParam()) {
      byte[] param = delimited(in);
      o.addProperty("param",
        m == null ? Bytes.toHex(param)
          : TextFormat.shortDebugString(DynamicMessage.parseFrom(m.getInputType(), param)));
    }
    cells(body, in.getTotalBytesRead(), h.hasCellBlockMeta(), o);
  }

  private static void response(Conn c, byte[] body, JsonObject o) throws Exception {
    CodedInputStream in = CodedInputStream.newInstance(body);
    RPCProtos.ResponseHeader h = RPCProtos.ResponseHeader.parseFrom(delimited(in));
    o.addProperty("kind", h.hasException() ? "exception" : "response");
    o.addProperty("call_id", h.getCallId());
    o.addProperty("header", TextFormat.shortDebugString(h));
    String method = c.registering ? "GetConnectionRegistry" : c.calls.remove(h.getCallId());
    o.addProperty("method", method);
    if (h.hasException()) {
      return;
    }
    byte[] result = delimited(in);
    if (c.registering) {
      o.addProperty("result", TextFormat
        .shortDebugString(RegistryProtos.GetConnectionRegistryResponse.parseFrom(result)));
      return;
    }
    ServiceDescriptor s = service(c.service);
    MethodDescriptor m = s == null || method == null ? null : s.findMethodByName(method);
    o.addProperty("result", m == null ? Bytes.toHex(result)
      : TextFormat.shortDebugString(DynamicMessage.parseFrom(m.getOutputType(), result)));
    cells(body, in.getTotalBytesRead(), h.hasCellBlockMeta(), o);
  }

  private static void cells(byte[] body, int from, boolean present, JsonObject o)
    throws IOException {
    if (!present) {
      return;
    }
    JsonArray a = new JsonArray();
    InputStream in = new ByteArrayInputStream(body, from, body.length - from);
    CellScanner scanner = new KeyValueCodec().getDecoder(in);
    while (scanner.advance()) {
      Cell cell = scanner.current();
      a.add(Cells.toJson(cell));
    }
    o.add("cells", a);
  }

  /** {@code RECORDING DIR} */
  public static void main(String[] argv) throws Exception {
    File dir = new File(argv[1]);
    Files.createDirectories(dir.toPath());
    try (PrintWriter out =
      new PrintWriter(new File(dir, "frames.jsonl"), StandardCharsets.UTF_8)) {
      Annotate a = new Annotate(out);
      List<String> lines = new ArrayList<>(Files.readAllLines(new File(argv[0]).toPath()));
      for (String line : lines) {
        a.line(line);
      }
      for (Map.Entry<Integer, Conn> c : a.conns.entrySet()) {
        String[] suffix = { "c2s", "s2c" };
        for (int way = 0; way < 2; way++) {
          try (FileOutputStream f =
            new FileOutputStream(new File(dir, "conn-" + c.getKey() + "." + suffix[way] + ".bin"))) {
            c.getValue().way[way].bytes.writeTo(f);
          }
        }
      }
    }
    System.exit(0);
  }
}
