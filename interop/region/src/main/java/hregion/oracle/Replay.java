package hregion.oracle;

import java.io.BufferedReader;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.hbase.client.CheckAndMutateResult;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.Mutation;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.regionserver.HRegion;
import org.apache.hadoop.hbase.regionserver.OperationStatus;
import org.apache.hadoop.hbase.regionserver.ScanCall;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonElement;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** Runs one script against one region and prints the region's answers. */
final class Replay implements AutoCloseable {
  private final Clock clock;
  private final Path dir;
  private final boolean plain;
  private final boolean everything = Boolean.getBoolean("everything");
  private final PrintStream out;
  private final Map<String, ScanCall> scanners = new HashMap<>();
  private Host host;
  private volatile int steps;
  private volatile JsonElement current;

  Replay(Clock clock, Path dir, boolean plain, PrintStream out) {
    this.clock = clock;
    this.dir = dir;
    this.plain = plain;
    this.out = out;
  }

  void run(BufferedReader script) throws Exception {
    for (String line; (line = script.readLine()) != null;) {
      if (!line.isBlank()) {
        step(Json.parse(line));
      }
    }
  }

  /** One operation; an operation without an answer prints nothing unless it is refused. */
  private void step(JsonObject op) throws Exception {
    if (!everything && "never_ends".equals(Json.text(op, "quirk", ""))) {
      return;
    }
    steps++;
    current = op.get("id");
    JsonObject line = new JsonObject();
    line.add("id", current);
    try {
      JsonObject answer = answer(op);
      if (answer == null) {
        return;
      }
      line.add("result", answer);
    } catch (Exception e) {
      line.addProperty("error", e.getClass().getSimpleName());
      if (System.getenv("HB_REPLAY_TRACE") != null) {
        e.printStackTrace();
      }
    }
    out.println(Json.print(line));
  }

  int steps() {
    return steps;
  }

  /** Answers for the current operation, which never ends; called by another thread. */
  void giveUp() {
    JsonObject line = new JsonObject();
    line.add("id", current);
    line.addProperty("error", "NeverEnds");
    out.println(Json.print(line));
  }

  private JsonObject answer(JsonObject op) throws Exception {
    switch (op.get("op").getAsString()) {
      case "create":
        clock.set(Json.longNumber(op, "now", 0));
        host = new Host(dir, Schema.region(op), Schema.table(op, plain));
        return null;
      case "clock":
        clock.set(op.get("now").getAsLong());
        return null;
      case "put":
        region().put((Put) Writes.mutation(op));
        return null;
      case "delete":
        region().delete((org.apache.hadoop.hbase.client.Delete) Writes.mutation(op));
        return null;
      case "increment":
        return cells(region().increment((Increment) Writes.mutation(op)));
      case "append":
        return cells(region().append((Append) Writes.mutation(op)));
      case "check_and_mutate":
        return checked(region().checkAndMutate(Writes.checkAndMutate(op)));
      case "mutate_row":
        return changed(region().mutateRow(Writes.rowMutations(op)));
      case "batch":
        return statuses(region().batchMutate(Writes.batch(op)));
      case "flush":
        host.flush(families(op));
        return null;
      case "compact":
        compact(op);
        return null;
      case "bulkload":
        host.bulkLoad(Json.objects(op, "files"));
        return null;
      case "files":
        return files();
      case "reopen":
        closeScanners();
        host.reopen();
        return null;
      case "crash":
        closeScanners();
        host.crash();
        return null;
      case "get":
        return get(op);
      case "scan":
        return scan(op);
      case "open_scanner":
        scanners.put(scannerName(op),
          new ScanCall(region(), Reads.scan(op.getAsJsonObject("scan"))));
        return null;
      case "next":
        return next(op);
      case "close_scanner":
        closeScanner(scannerName(op));
        return null;
      default:
        throw new IllegalArgumentException("no operation " + op);
    }
  }

  private HRegion region() {
    return host.region();
  }

  private static List<byte[]> families(JsonObject op) {
    List<byte[]> families = new ArrayList<>();
    for (JsonElement e : Json.array(op, "families")) {
      families.add(Json.bytes(e));
    }
    return families;
  }

  private void compact(JsonObject op) throws Exception {
    if (Json.flag(op, "major", false)) {
      host.compact(families(op), 0, Integer.MAX_VALUE);
    } else {
      host.compact(families(op), Json.number(op, "from", 0), Json.number(op, "count", 2));
    }
  }

  private static JsonObject cells(Result result) {
    JsonObject answer = new JsonObject();
    answer.add("cells", Answers.cells(result));
    return answer;
  }

  /** Only increments and appends inside a row operation have a result. */
  private static JsonObject changed(Result result) {
    return result == null || result.isEmpty() ? null : cells(result);
  }

  private static JsonObject checked(CheckAndMutateResult result) {
    JsonObject answer = new JsonObject();
    answer.addProperty("success", result.isSuccess());
    if (result.getResult() != null && !result.getResult().isEmpty()) {
      answer.add("cells", Answers.cells(result.getResult()));
    }
    return answer;
  }

  private static JsonObject statuses(OperationStatus[] statuses) {
    JsonArray list = new JsonArray();
    for (OperationStatus status : statuses) {
      list.add(status.getOperationStatusCode().name());
    }
    JsonObject answer = new JsonObject();
    answer.add("status", list);
    return answer;
  }

  private JsonObject files() {
    JsonObject counts = new JsonObject();
    for (byte[] family : host.table().getColumnFamilyNames()) {
      counts.addProperty(Bytes.toStringBinary(family), host.files(family));
    }
    JsonObject answer = new JsonObject();
    answer.add("files", counts);
    return answer;
  }

  private JsonObject get(JsonObject op) throws Exception {
    Result result = region().get(Reads.get(op));
    if (!Json.flag(op, "existence_only", false)) {
      return cells(result);
    }
    JsonObject answer = new JsonObject();
    answer.addProperty("exists", !result.isEmpty());
    return answer;
  }

  private JsonObject scan(JsonObject op) throws Exception {
    Scan scan = Reads.scan(op);
    int caching = Json.number(op, "caching", Integer.MAX_VALUE);
    List<Result> all = new ArrayList<>();
    try (ScanCall call = new ScanCall(region(), scan)) {
      while (call.hasMore()) {
        all.addAll(call.next(caching));
      }
    }
    return Answers.rows(all);
  }

  private static String scannerName(JsonObject op) {
    return op.get("scanner").getAsString();
  }

  private JsonObject next(JsonObject op) throws Exception {
    ScanCall call = scanners.get(scannerName(op));
    if (call == null) {
      throw new IllegalStateException("no scanner " + op);
    }
    List<Result> results = call.next(Json.number(op, "rows", Integer.MAX_VALUE));
    JsonObject answer = Answers.rows(results);
    answer.addProperty("more", call.hasMore());
    return answer;
  }

  private void closeScanner(String name) throws Exception {
    ScanCall call = scanners.remove(name);
    if (call != null) {
      call.close();
    }
  }

  private void closeScanners() throws Exception {
    for (String name : new ArrayList<>(scanners.keySet())) {
      closeScanner(name);
    }
  }

  @Override
  public void close() throws Exception {
    closeScanners();
    if (host != null) {
      host.stop();
    }
  }
}
