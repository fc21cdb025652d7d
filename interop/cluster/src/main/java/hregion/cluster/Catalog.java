package hregion.cluster;

import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.TableState;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;

/** Cells of hbase:meta with decoded values. */
final class Catalog {
  private Catalog() {
  }

  static JsonObject decode(Cell c) {
    JsonObject o = Cells.toJson(c);
    byte[] value = CellUtil.cloneValue(c);
    o.addProperty("value", Bytes.toHex(value));
    String column = Bytes.toString(CellUtil.cloneFamily(c)) + ":"
      + Bytes.toString(CellUtil.cloneQualifier(c));
    try {
      if (c.getType() != Cell.Type.Put || value.length == 0) {
        return o;
      }
      if (column.equals("info:regioninfo") || column.startsWith("info:merge")
        || column.equals("info:splitA") || column.equals("info:splitB")) {
        o.add("decoded", Client.region(RegionInfo.parseFrom(value)));
      } else if (column.startsWith("info:serverstartcode")
        || column.startsWith("info:seqnumDuringOpen") || column.startsWith("rep_barrier:")) {
        o.addProperty("decoded", Bytes.toLong(value));
      } else if (column.equals("table:state")) {
        o.addProperty("decoded", TableState.convert(
          org.apache.hadoop.hbase.TableName.valueOf(CellUtil.cloneRow(c)),
          org.apache.hadoop.hbase.shaded.protobuf.generated.HBaseProtos.TableState.parseFrom(value))
          .getState().name());
      } else {
        o.addProperty("decoded", Cells.text(value));
      }
    } catch (Exception e) {
      o.addProperty("undecoded", String.valueOf(e));
    }
    return o;
  }
}
