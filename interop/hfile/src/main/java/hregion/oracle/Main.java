package hregion.oracle;

import java.io.BufferedReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hbase.thirdparty.com.google.gson.JsonElement;
import org.apache.hbase.thirdparty.com.google.gson.JsonParser;

/** Entry point: the first word names the command. */
public final class Main {
  private static final String USAGE = String.join("\n",
    "hb write --out F --cells C.jsonl [settings]   write an HFile",
    "hb dump F... [--to OUT]                       all cells, canonical JSON lines",
    "hb inspect F [--blocks]                       trailer, file info, index, Bloom filters",
    "hb check F...                                 verify files",
    "hb seekdump F --keys K.jsonl                  what each seek finds",
    "hb region --root D --out P --cells C.jsonl    files of flushes and compactions of a region",
    "hb probe F --good G                           read a damaged file, stage by stage",
    "hb train --cells C.jsonl --out D              make a Zstandard dictionary",
    "hb batch PLAN.jsonl                           many commands, one JSON array per line",
    "README.md lists the settings.");

  private Main() {
  }

  public static void main(String[] argv) throws Exception {
    if (argv.length == 0 || argv[0].equals("--help")) {
      System.out.println(USAGE);
      System.exit(argv.length == 0 ? 2 : 0);
    }
    int status;
    try {
      status = run(Arrays.asList(argv));
    } catch (Throwable e) {
      e.printStackTrace();
      status = 3;
    }
    System.out.flush();
    System.exit(status);
  }

  static int run(List<String> argv) throws Exception {
    Args args = Args.parse(argv.subList(1, argv.size()));
    switch (argv.get(0)) {
      case "write":
        return new WriteCommand(args).run();
      case "dump":
        return new DumpCommand(args).run();
      case "inspect":
        return new InspectCommand(args).run();
      case "seekdump":
        return new SeekDumpCommand(args).run();
      case "check":
        return new CheckCommand(args).run();
      case "probe":
        return new ProbeCommand(args).run();
      case "region":
        return new RegionCommand(args).run();
      case "train":
        return new TrainCommand(args).run();
      case "batch":
        return batch(args.words.get(0));
      default:
        throw new IllegalArgumentException("unknown command " + argv.get(0) + "\n" + USAGE);
    }
  }

  private static int batch(String plan) throws Exception {
    int worst = 0;
    try (BufferedReader in = CellJson.open(plan)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        List<String> argv = new ArrayList<>();
        for (JsonElement e : JsonParser.parseString(line).getAsJsonArray()) {
          argv.add(e.getAsString());
        }
        int status;
        try {
          status = run(argv);
        } catch (Exception | LinkageError e) {
          System.err.println("failed: " + line);
          e.printStackTrace();
          status = 3;
        }
        worst = Math.max(worst, status);
      }
    }
    return worst;
  }
}
