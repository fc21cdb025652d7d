package hregion.cluster;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.MetaTableAccessor;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Append;
import org.apache.hadoop.hbase.client.AsyncConnection;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.CompactionState;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Consistency;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Durability;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Increment;
import org.apache.hadoop.hbase.client.Mutation;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Query;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionInfoBuilder;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.SnapshotDescription;
import org.apache.hadoop.hbase.client.SnapshotType;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.filter.ParseFilter;
import org.apache.hadoop.hbase.tool.BulkLoadHFilesTool;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonElement;
import org.apache.hbase.thirdparty.com.google.gson.JsonNull;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.gson.JsonParser;
import org.apache.hbase.thirdparty.com.google.gson.JsonPrimitive;

/** HBase's client as a command interpreter: one JSON object in, one JSON object out, per line. */
final class Client implements Closeable {
  private interface Command {
    JsonElement run(JsonObject in) throws Exception;
  }

  private static final long PATIENCE_MS = 60_000;
  private static final JsonElement NOTHING = JsonNull.INSTANCE;

  private final Configuration conf;
  private final Connection sync;
  private final Admin admin;
  private AsyncConnection async;
  private final Map<String, Command> commands = new LinkedHashMap<>();

  Client(Configuration conf) throws IOException {
    this.conf = conf;
    sync = ConnectionFactory.createConnection(conf);
    admin = sync.getAdmin();
    tables();
    data();
    regions();
    snapshots();
    catalog();
    Speed speed = new Speed(sync);
    commands.put("time_scan", in -> speed.scan(table(in), flag(in, "prefetch", false)));
    commands.put("time_gets", in -> {
      int rows = in.get("rows").getAsInt();
      int gets = in.get("gets").getAsInt();
      int threads = in.get("threads").getAsInt();
      if (flag(in, "async", false)) {
        return Speed.pipelined(async(), table(in), rows, gets, threads);
      }
      return speed.gets(table(in), rows, gets, threads);
    });
  }

  JsonElement run(JsonObject in) throws Exception {
    Command c = commands.get(string(in, "op", ""));
    if (c == null) {
      throw new IllegalArgumentException("op must be one of " + commands.keySet());
    }
    return c.run(in);
  }

  @Override
  public void close() throws IOException {
    if (async != null) {
      async.close();
    }
    admin.close();
    sync.close();
  }

  // ---------------------------------------------------------------- tables

  private void tables() {
    commands.put("create", in -> {
      TableDescriptor d = descriptor(in);
      JsonArray splits = array(in, "splits");
      byte[][] keys = new byte[splits.size()][];
      for (int i = 0; i < keys.length; i++) {
        keys[i] = Cells.bytes(splits.get(i).getAsString());
      }
      if (keys.length == 0) {
        admin.createTable(d);
      } else {
        admin.createTable(d, keys);
      }
      return NOTHING;
    });
    commands.put("describe", in -> new JsonPrimitive(admin.getDescriptor(table(in)).toString()));
    commands.put("exists", in -> new JsonPrimitive(admin.tableExists(table(in))));
    commands.put("list_tables", in -> {
      JsonArray a = new JsonArray();
      for (TableName t : admin.listTableNames()) {
        a.add(t.getNameAsString());
      }
      return a;
    });
    commands.put("disable", in -> {
      admin.disableTable(table(in));
      return NOTHING;
    });
    commands.put("enable", in -> finish(in, admin.enableTableAsync(table(in))));
    commands.put("drop", in -> {
      if (admin.isTableEnabled(table(in))) {
        admin.disableTable(table(in));
      }
      admin.deleteTable(table(in));
      return NOTHING;
    });
    commands.put("create_namespace", in -> {
      admin.createNamespace(NamespaceDescriptor.create(string(in, "namespace", "")).build());
      return NOTHING;
    });
  }

  private static TableDescriptor descriptor(JsonObject in) {
    TableDescriptorBuilder t = TableDescriptorBuilder.newBuilder(table(in));
    for (JsonElement e : array(in, "families")) {
      ColumnFamilyDescriptorBuilder f;
      if (e.isJsonPrimitive()) {
        f = ColumnFamilyDescriptorBuilder.newBuilder(Cells.bytes(e.getAsString()));
      } else {
        JsonObject o = e.getAsJsonObject();
        f = ColumnFamilyDescriptorBuilder.newBuilder(Cells.bytes(o, "name"));
        for (String k : o.keySet()) {
          // HBase's own attribute names: VERSIONS, BLOOMFILTER, DATA_BLOCK_ENCODING, ...
          if (!k.equals("name") && !k.equals("configuration")) {
            f.setValue(k, o.get(k).getAsString());
          }
        }
        for (Map.Entry<String, JsonElement> c : object(o, "configuration").entrySet()) {
          f.setConfiguration(c.getKey(), c.getValue().getAsString());
        }
      }
      t.setColumnFamily(f.build());
    }
    for (Map.Entry<String, JsonElement> c : object(in, "attributes").entrySet()) {
      t.setValue(c.getKey(), c.getValue().getAsString());
    }
    return t.build();
  }

  // ---------------------------------------------------------------- data

  private void data() {
    // Cells of one row become one mutation per kind, in the order given. Each row is sent separately, or all
    // in one Multi with "batch".
    commands.put("mutate", in -> {
      try (Table t = sync.getTable(table(in))) {
        List<Mutation> all = mutations(in);
        if (in.has("batch") && in.get("batch").getAsBoolean()) {
          t.batch(all, new Object[all.size()]);
          return new JsonPrimitive(all.size());
        }
        for (Mutation m : all) {
          if (m instanceof Put) {
            t.put((Put) m);
          } else {
            t.delete((Delete) m);
          }
        }
        return new JsonPrimitive(all.size());
      }
    });
    commands.put("put", in -> {
      try (Table t = sync.getTable(table(in))) {
        t.put((Put) decorate(
          new Put(Cells.bytes(in, "row")).add(Cells.fromJson(in, Cells.bytes(in, "row"))), in));
      }
      return NOTHING;
    });
    commands.put("delete", in -> {
      byte[] row = Cells.bytes(in, "row");
      byte[] family = Cells.bytes(in, "family");
      byte[] qualifier = Cells.bytes(in, "qualifier");
      boolean stamped = in.has("timestamp");
      long ts = stamped ? in.get("timestamp").getAsLong() : 0;
      Delete d = new Delete(row);
      if (family == null) {
        d = stamped ? new Delete(row, ts) : d;
      } else if (qualifier == null) {
        d = stamped ? d.addFamily(family, ts) : d.addFamily(family);
      } else if (in.has("all") && in.get("all").getAsBoolean()) {
        d = stamped ? d.addColumns(family, qualifier, ts) : d.addColumns(family, qualifier);
      } else {
        d = stamped ? d.addColumn(family, qualifier, ts) : d.addColumn(family, qualifier);
      }
      try (Table t = sync.getTable(table(in))) {
        t.delete((Delete) decorate(d, in));
      }
      return NOTHING;
    });
    commands.put("increment", in -> {
      try (Table t = sync.getTable(table(in))) {
        Increment i = new Increment(Cells.bytes(in, "row")).addColumn(Cells.bytes(in, "family"),
          Cells.bytes(in, "qualifier"), number(in, "by", 1));
        return result(t.increment((Increment) decorate(i, in)));
      }
    });
    commands.put("append", in -> {
      try (Table t = sync.getTable(table(in))) {
        Append a = new Append(Cells.bytes(in, "row")).addColumn(Cells.bytes(in, "family"),
          Cells.bytes(in, "qualifier"), Cells.bytes(in, "value"));
        return result(t.append((Append) decorate(a, in)));
      }
    });
    commands.put("check_and_put", in -> {
      try (Table t = sync.getTable(table(in))) {
        byte[] row = Cells.bytes(in, "row");
        return new JsonPrimitive(
          t.checkAndMutate(row, Cells.bytes(in, "family")).qualifier(Cells.bytes(in, "qualifier"))
            .ifMatches(CompareOperator.EQUAL, Cells.bytes(in, "expect"))
            .thenPut(new Put(row).add(Cells.fromJson(in, row))));
      }
    });
    commands.put("get", in -> {
      try (Table t = sync.getTable(table(in))) {
        return result(t.get(get(in)));
      }
    });
    // Reads with a consistency: the cells, and for each result whether it may be stale.
    commands.put("stale_get", in -> {
      try (Table t = sync.getTable(table(in))) {
        return stale(List.of(t.get(get(in))));
      }
    });
    commands.put("stale_scan", in -> {
      if (flag(in, "async", false)) {
        return stale(async().getTable(table(in)).scanAll(scan(in)).get(30, TimeUnit.SECONDS));
      }
      try (Table t = sync.getTable(table(in)); ResultScanner s = t.getScanner(scan(in))) {
        return stale(s);
      }
    });
    commands.put("multi_get", in -> {
      List<Get> gets = new ArrayList<>();
      for (JsonElement row : array(in, "rows")) {
        gets.add(new Get(Cells.bytes(row.getAsString())));
      }
      try (Table t = sync.getTable(table(in))) {
        JsonArray a = new JsonArray();
        for (Result r : t.get(gets)) {
          a.add(result(r));
        }
        return a;
      }
    });
    // With "out", cells go to that file, one per line, and the answer is their number.
    commands.put("scan", in -> {
      try (Table t = sync.getTable(table(in)); ResultScanner s = t.getScanner(scan(in))) {
        return cells(s, in);
      }
    });
    // The metrics of a complete scan by HBase's client.
    commands.put("scan_metrics", in -> {
      try (Table t = sync.getTable(table(in));
        ResultScanner s = t.getScanner(scan(in).setScanMetricsEnabled(true))) {
        while (s.next() != null) {
        }
        JsonObject o = new JsonObject();
        s.getScanMetrics().getMetricsMap().forEach(o::addProperty);
        return o;
      }
    });
  }

  private static List<Mutation> mutations(JsonObject in) throws IOException {
    List<Mutation> all = new ArrayList<>();
    for (JsonElement e : array(in, "cells")) {
      JsonObject o = e.getAsJsonObject();
      byte[] row = Cells.bytes(o, "row");
      Cell c = Cells.fromJson(o, row);
      boolean put = c.getType() == Cell.Type.Put;
      Mutation last = all.isEmpty() ? null : all.get(all.size() - 1);
      if (last == null || !Bytes.equals(last.getRow(), row) || (last instanceof Put) != put) {
        last = decorate(put ? new Put(row) : new Delete(row), in);
        all.add(last);
      }
      if (put) {
        ((Put) last).add(c);
      } else {
        ((Delete) last).add(c);
      }
    }
    return all;
  }

  private static Mutation decorate(Mutation m, JsonObject in) {
    if (in.has("ttl")) {
      m.setTTL(in.get("ttl").getAsLong());
    }
    if (in.has("durability")) {
      m.setDurability(Durability.valueOf(in.get("durability").getAsString()));
    }
    for (Map.Entry<String, JsonElement> a : object(in, "attributes").entrySet()) {
      m.setAttribute(a.getKey(), Cells.bytes(a.getValue().getAsString()));
    }
    return m;
  }

  private static JsonObject stale(Iterable<Result> results) {
    JsonArray cells = new JsonArray();
    JsonArray stale = new JsonArray();
    for (Result r : results) {
      cells.addAll(result(r));
      stale.add(r.isStale());
    }
    JsonObject o = new JsonObject();
    o.add("cells", cells);
    o.add("stale", stale);
    return o;
  }

  /** Sets which region replicas are read. */
  private static void copies(Query q, JsonObject in) {
    if (in.has("consistency")) {
      q.setConsistency(Consistency.valueOf(in.get("consistency").getAsString()));
    }
    if (in.has("replica")) {
      q.setReplicaId(in.get("replica").getAsInt());
    }
  }

  private static Get get(JsonObject in) throws IOException {
    Get g = new Get(Cells.bytes(in, "row"));
    copies(g, in);
    for (JsonElement c : array(in, "columns")) {
      byte[][] parts = CellUtil.parseColumn(Cells.bytes(c.getAsString()));
      if (parts.length == 1) {
        g.addFamily(parts[0]);
      } else {
        g.addColumn(parts[0], parts[1]);
      }
    }
    int versions = (int) number(in, "versions", 1);
    return g.readVersions(versions);
  }

  private static Scan scan(JsonObject in) throws IOException {
    Scan s = new Scan();
    copies(s, in);
    s.setReversed(flag(in, "reversed", false));
    if (in.has("start")) {
      s.withStartRow(Cells.bytes(in, "start"), flag(in, "include_start", true));
    }
    if (in.has("stop")) {
      s.withStopRow(Cells.bytes(in, "stop"), flag(in, "include_stop", false));
    }
    for (JsonElement c : array(in, "columns")) {
      byte[][] parts = CellUtil.parseColumn(Cells.bytes(c.getAsString()));
      if (parts.length == 1) {
        s.addFamily(parts[0]);
      } else {
        s.addColumn(parts[0], parts[1]);
      }
    }
    if (flag(in, "raw", false)) {
      s.setRaw(true).readAllVersions();
    }
    if (in.has("versions")) {
      s.readVersions(in.get("versions").getAsInt());
    }
    if (in.has("time_range")) {
      JsonArray r = in.getAsJsonArray("time_range");
      s.setTimeRange(r.get(0).getAsLong(), r.get(1).getAsLong());
    }
    if (in.has("filter")) {
      s.setFilter(new ParseFilter().parseFilterString(in.get("filter").getAsString()));
    }
    if (in.has("limit")) {
      s.setLimit(in.get("limit").getAsInt());
    }
    if (in.has("caching")) {
      s.setCaching(in.get("caching").getAsInt());
    }
    if (in.has("batch")) {
      s.setBatch(in.get("batch").getAsInt());
    }
    if (in.has("max_result_size")) {
      s.setMaxResultSize(in.get("max_result_size").getAsLong());
    }
    s.setAllowPartialResults(flag(in, "allow_partial", false));
    if (in.has("read_type")) {
      s.setReadType(Scan.ReadType.valueOf(in.get("read_type").getAsString()));
    }
    return s;
  }

  private static JsonElement cells(ResultScanner s, JsonObject in) throws IOException {
    if (in.has("out")) {
      int n = 0;
      try (PrintWriter w = new PrintWriter(in.get("out").getAsString(), StandardCharsets.UTF_8)) {
        for (Result r : s) {
          for (Cell c : r.rawCells()) {
            w.print(Cells.GSON.toJson(Cells.toJson(c)) + "\n");
            n++;
          }
        }
      }
      return new JsonPrimitive(n);
    }
    JsonArray a = new JsonArray();
    for (Result r : s) {
      for (Cell c : r.rawCells()) {
        a.add(Cells.toJson(c));
      }
    }
    return a;
  }

  private static JsonArray result(Result r) {
    JsonArray a = new JsonArray();
    if (r != null && !r.isEmpty()) {
      for (Cell c : r.rawCells()) {
        a.add(Cells.toJson(c));
      }
    }
    return a;
  }

  // ---------------------------------------------------------------- regions

  private void regions() {
    commands.put("regions", in -> {
      JsonArray a = new JsonArray();
      for (RegionInfo r : sorted(in)) {
        a.add(region(r));
      }
      return a;
    });
    commands.put("stop_server", in -> {
      ServerName s = ServerName.valueOf(string(in, "server", ""));
      admin.stopRegionServer(s.getAddress().toString());
      return NOTHING;
    });
    commands.put("flush", in -> {
      if (in.has("region")) {
        admin.flushRegion(find(in, "region").getRegionName());
      } else {
        admin.flush(table(in));
      }
      return NOTHING;
    });
    commands.put("compact", in -> {
      boolean major = flag(in, "major", false);
      for (RegionInfo r : in.has("region") ? List.of(find(in, "region")) : sorted(in)) {
        long before = admin.getLastMajorCompactionTimestampForRegion(r.getRegionName());
        if (major) {
          admin.majorCompactRegion(r.getRegionName());
        } else {
          admin.compactRegion(r.getRegionName());
        }
        waitUntil("compaction of " + r.getEncodedName(), () -> !major
          || admin.getLastMajorCompactionTimestampForRegion(r.getRegionName()) != before
          || admin.getCompactionStateForRegion(r.getRegionName()) == CompactionState.NONE);
        Thread.sleep(300);
        waitUntil("compaction of " + r.getEncodedName(),
          () -> admin.getCompactionStateForRegion(r.getRegionName()) == CompactionState.NONE);
      }
      return NOTHING;
    });
    commands.put("split", in -> {
      RegionInfo r = in.has("region") ? find(in, "region") : holding(in);
      byte[] at = Cells.bytes(in, "row");
      return finish(in, at == null ? admin.splitRegionAsync(r.getRegionName())
        : admin.splitRegionAsync(r.getRegionName(), at));
    });
    commands.put("merge", in -> {
      JsonArray names = array(in, "regions");
      byte[][] parents = new byte[names.size()][];
      for (int i = 0; i < parents.length; i++) {
        parents[i] = Bytes.toBytes(names.get(i).getAsString());
      }
      return finish(in, admin.mergeRegionsAsync(parents, flag(in, "force", true)));
    });
    commands.put("move", in -> {
      RegionInfo r = find(in, "region");
      ServerName from = where(r);
      ServerName to = in.has("server") ? ServerName.valueOf(string(in, "server", "")) : other(from);
      if (flag(in, "wait", true)) {
        admin.move(r.getEncodedNameAsBytes(), to);
        waitUntil("move of " + r.getEncodedName(), () -> to.equals(where(r)));
      } else {
        Thread mover = new Thread(() -> {
          try {
            admin.move(r.getEncodedNameAsBytes(), to);
          } catch (IOException e) {
            // The catalog shows that the region was not moved.
          }
        });
        mover.setDaemon(true);
        mover.start();
      }
      return new JsonPrimitive(to.toString());
    });
    commands.put("assign", in -> {
      admin.assign(find(in, "region").getRegionName());
      return NOTHING;
    });
    commands.put("unassign", in -> {
      admin.unassign(find(in, "region").getRegionName(), true);
      return NOTHING;
    });
    commands.put("wait_assigned", in -> {
      waitUntil("assignment", () -> {
        try (Table meta = sync.getTable(TableName.META_TABLE_NAME);
          ResultScanner rows = meta.getScanner(new Scan().addFamily(Bytes.toBytes("info")))) {
          for (Result row : rows) {
            RegionInfo r = MetaTableAccessor.getRegionInfo(row);
            byte[] state = row.getValue(Bytes.toBytes("info"), Bytes.toBytes("state"));
            if (r != null && !r.isSplitParent() && r.getTable().equals(table(in))
              && !Bytes.equals(state, Bytes.toBytes("OPEN"))) {
              return false;
            }
          }
          return true;
        }
      });
      return NOTHING;
    });
    commands.put("bulkload", in -> {
      new BulkLoadHFilesTool(conf).bulkLoad(table(in), new Path(string(in, "dir", "")));
      return NOTHING;
    });
    commands.put("roll_wal", in -> {
      for (ServerName s : admin.getRegionServers()) {
        admin.rollWALWriter(s);
      }
      return NOTHING;
    });
    commands.put("servers", in -> {
      JsonArray a = new JsonArray();
      for (ServerName s : admin.getRegionServers()) {
        a.add(s.toString());
      }
      return a;
    });
    commands.put("compaction_switch", in -> {
      admin.compactionSwitch(flag(in, "on", false), new ArrayList<>());
      return NOTHING;
    });
    commands.put("balancer_switch",
      in -> new JsonPrimitive(admin.balancerSwitch(flag(in, "on", false), true)));
    commands.put("catalog_janitor",
      in -> in.has("on") ? new JsonPrimitive(admin.catalogJanitorSwitch(flag(in, "on", true)))
        : new JsonPrimitive(admin.runCatalogJanitor()));
    commands.put("sleep", in -> {
      Thread.sleep(number(in, "ms", 1000));
      return NOTHING;
    });
  }

  /** Waits for an asynchronous operation unless the command contains {@code "wait": false}. */
  private static JsonElement finish(JsonObject in, Future<?> f) throws Exception {
    if (flag(in, "wait", true)) {
      f.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
    }
    return NOTHING;
  }

  private interface Check {
    boolean ok() throws Exception;
  }

  private static void waitUntil(String what, Check c) throws Exception {
    long deadline = System.currentTimeMillis() + PATIENCE_MS;
    while (!c.ok()) {
      if (System.currentTimeMillis() > deadline) {
        throw new IOException("waited in vain for the " + what);
      }
      Thread.sleep(100);
    }
  }

  private List<RegionInfo> sorted(JsonObject in) throws IOException {
    List<RegionInfo> all = new ArrayList<>(admin.getRegions(table(in)));
    all.sort(RegionInfo.COMPARATOR);
    return all;
  }

  private RegionInfo find(JsonObject in, String field) throws IOException {
    String encoded = string(in, field, "");
    for (TableName t : in.has("table") ? new TableName[] { table(in) } : admin.listTableNames()) {
      for (RegionInfo r : admin.getRegions(t)) {
        if (r.getEncodedName().equals(encoded)) {
          return r;
        }
      }
    }
    if (RegionInfoBuilder.FIRST_META_REGIONINFO.getEncodedName().equals(encoded)) {
      return RegionInfoBuilder.FIRST_META_REGIONINFO;
    }
    throw new IOException("no region " + encoded);
  }

  private RegionInfo holding(JsonObject in) throws IOException {
    byte[] row = Cells.bytes(in, "row");
    for (RegionInfo r : sorted(in)) {
      if (row == null || r.containsRow(row)) {
        return r;
      }
    }
    throw new IOException("no region holds that row");
  }

  private ServerName where(RegionInfo r) throws IOException {
    if (r.isMetaRegion()) {
      try (RegionLocator catalog = sync.getRegionLocator(TableName.META_TABLE_NAME)) {
        return catalog.getRegionLocation(new byte[0], true).getServerName();
      }
    }
    try (Table meta = sync.getTable(TableName.META_TABLE_NAME)) {
      Result row = meta.get(new Get(r.getRegionName()));
      byte[] state = row.getValue(Bytes.toBytes("info"), Bytes.toBytes("state"));
      return Bytes.equals(state, Bytes.toBytes("OPEN"))
        ? MetaTableAccessor.getServerName(row, 0) : null;
    }
  }

  private ServerName other(ServerName than) throws IOException {
    for (ServerName s : admin.getRegionServers()) {
      if (!s.equals(than)) {
        return s;
      }
    }
    throw new IOException("only one region server");
  }

  static JsonObject region(RegionInfo r) {
    JsonObject o = new JsonObject();
    o.addProperty("name", Cells.text(r.getRegionName()));
    o.addProperty("encoded", r.getEncodedName());
    o.addProperty("table", r.getTable().getNameAsString());
    o.addProperty("start", Cells.text(r.getStartKey()));
    o.addProperty("end", Cells.text(r.getEndKey()));
    o.addProperty("id", r.getRegionId());
    o.addProperty("replica", r.getReplicaId());
    o.addProperty("split", r.isSplit());
    o.addProperty("offline", r.isOffline());
    return o;
  }

  // ---------------------------------------------------------------- snapshots

  private void snapshots() {
    commands.put("snapshot", in -> {
      admin.snapshot(new SnapshotDescription(string(in, "name", ""), table(in),
        SnapshotType.valueOf(string(in, "type", "FLUSH")), "hregion"));
      return NOTHING;
    });
    commands.put("clone_snapshot", in -> {
      admin.cloneSnapshot(string(in, "name", ""), table(in));
      return NOTHING;
    });
    commands.put("restore_snapshot", in -> {
      admin.restoreSnapshot(string(in, "name", ""));
      return NOTHING;
    });
    commands.put("delete_snapshot", in -> {
      admin.deleteSnapshot(string(in, "name", ""));
      return NOTHING;
    });
  }

  // ---------------------------------------------------------------- catalog

  private void catalog() {
    // "client": "sync" (the blocking client's cache) or "async"; both caches last as long as this process.
    commands.put("locate", in -> {
      byte[] row = Cells.bytes(in, "row");
      boolean reload = flag(in, "reload", false);
      HRegionLocation at;
      if (string(in, "client", "sync").equals("async")) {
        at = async().getRegionLocator(table(in)).getRegionLocation(row, reload).get(30,
          TimeUnit.SECONDS);
      } else {
        at = sync.getRegionLocator(table(in)).getRegionLocation(row, reload);
      }
      JsonObject o = region(at.getRegion());
      o.addProperty("server", String.valueOf(at.getServerName()));
      o.addProperty("seqnum", at.getSeqNum());
      return o;
    });
    commands.put("clear_cache", in -> {
      sync.clearRegionLocationCache();
      if (async != null) {
        async.clearRegionLocationCache();
      }
      return NOTHING;
    });
    commands.put("meta", in -> {
      try (Table t = sync.getTable(TableName.META_TABLE_NAME);
        ResultScanner s =
          t.getScanner(flag(in, "raw", false) ? new Scan().setRaw(true).readAllVersions()
            : new Scan().readVersions((int) number(in, "versions", 1)))) {
        JsonArray a = new JsonArray();
        for (Result r : s) {
          for (Cell c : r.rawCells()) {
            a.add(Catalog.decode(c));
          }
        }
        return a;
      }
    });
    commands.put("znodes", in -> Znodes.dump(conf));
    commands.put("protect_znodes",
      in -> Znodes.copyFor(conf, in.get("user").getAsString(), in.get("to").getAsString()));
    commands.put("dump", in -> dump(in));
  }

  private synchronized AsyncConnection async() throws Exception {
    if (async == null) {
      async = ConnectionFactory.createAsyncConnection(conf).get(30, TimeUnit.SECONDS);
    }
    return async;
  }

  /** Every region of a table: {@code <out>/<encoded>.raw.jsonl} and {@code .plain.jsonl}. */
  private JsonElement dump(JsonObject in) throws IOException {
    File out = new File(string(in, "out", ""));
    Files.createDirectories(out.toPath());
    JsonArray a = new JsonArray();
    for (RegionInfo r : sorted(in)) {
      JsonObject o = region(r);
      for (String mode : new String[] { "raw", "plain" }) {
        JsonObject q = new JsonObject();
        q.addProperty("out", new File(out, r.getEncodedName() + "." + mode + ".jsonl").getPath());
        Scan s = new Scan().withStartRow(r.getStartKey()).withStopRow(r.getEndKey());
        if (mode.equals("raw")) {
          s.setRaw(true).readAllVersions();
        } else {
          s.readVersions(Integer.MAX_VALUE);
        }
        try (Table t = sync.getTable(table(in)); ResultScanner rows = t.getScanner(s)) {
          o.add(mode, cells(rows, q));
        }
      }
      a.add(o);
    }
    return a;
  }

  // ---------------------------------------------------------------- JSON

  private static TableName table(JsonObject in) {
    return TableName.valueOf(in.get("table").getAsString());
  }

  private static String string(JsonObject in, String field, String fallback) {
    return in.has(field) ? in.get(field).getAsString() : fallback;
  }

  private static long number(JsonObject in, String field, long fallback) {
    return in.has(field) ? in.get(field).getAsLong() : fallback;
  }

  private static boolean flag(JsonObject in, String field, boolean fallback) {
    return in.has(field) ? in.get(field).getAsBoolean() : fallback;
  }

  private static JsonArray array(JsonObject in, String field) {
    return in.has(field) ? in.getAsJsonArray(field) : new JsonArray();
  }

  private static JsonObject object(JsonObject in, String field) {
    return in.has(field) ? in.getAsJsonObject(field) : new JsonObject();
  }

  private static final Pattern STACK = Pattern.compile("(?s)\\R\\s*at .*");

  static JsonObject failure(Throwable t) {
    while (t.getCause() != null && (t instanceof java.util.concurrent.ExecutionException
      || t instanceof java.util.concurrent.CompletionException)) {
      t = t.getCause();
    }
    JsonObject o = new JsonObject();
    o.addProperty("class", t.getClass().getName());
    o.addProperty("message", STACK.matcher(String.valueOf(t.getMessage())).replaceAll(""));
    if (t.getCause() != null && t.getCause() != t) {
      o.add("cause", failure(t.getCause()));
    }
    return o;
  }

  static int portOf(Settings.Args args) throws IOException {
    if (args.has("ready")) {
      String zk = ready(args).get("zk").getAsString();
      return Integer.parseInt(zk.substring(zk.indexOf(':') + 1));
    }
    return Integer.parseInt(args.get("zk-port", "2181"));
  }

  private static JsonObject ready(Settings.Args args) throws IOException {
    String text = Files.readString(new File(args.get("ready", "")).toPath());
    return JsonParser.parseString(text).getAsJsonObject();
  }

  /** {@code --ready FILE | --zk-port N  [--record FILE] [-D key=value]...} */
  public static void main(String[] argv) throws Exception {
    Settings.Args args = new Settings.Args(argv);
    Configuration conf = Settings.client(portOf(args));
    if (args.has("record")) {
      Recorder.to(args.get("record", ""));
      conf.set("hbase.rpc.client.impl", "org.apache.hadoop.hbase.ipc.BlockingRpcClient");
      conf.set("hadoop.rpc.socket.factory.class.default", Recorder.class.getName());
    }
    args.overrides(conf);
    if (args.has("ready")) {
      JsonObject kerberos = ready(args).getAsJsonObject("kerberos");
      if (kerberos != null) {
        Kdc.login(conf, kerberos);
      }
    }
    PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out),
      true, StandardCharsets.UTF_8);
    BufferedReader lines =
      new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    Client client = new Client(conf);
    for (String line; (line = lines.readLine()) != null;) {
      if (line.isBlank()) {
        continue;
      }
      JsonObject answer = new JsonObject();
      try {
        JsonObject in = JsonParser.parseString(line).getAsJsonObject();
        if (args.has("record")) {
          Recorder.note("op " + line);
        }
        answer.add("ok", client.run(in));
      } catch (Exception | Error e) {
        answer.add("error", failure(e));
      }
      out.println(Cells.GSON.toJson(answer));
    }
    client.close();
    System.exit(0);
  }
}
