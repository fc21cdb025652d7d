package hregion.oracle;

import java.io.BufferedReader;
import java.lang.management.ManagementFactory;

/**
 * Runs a script in a thread and stops operations that never end. The limit is processor time, so it
 * does not depend on the load of the machine.
 */
final class Watch {
  private static final long PATIENCE = 1_000_000_000L * Integer.getInteger("patience", 10);
  private final Replay replay;
  private final BufferedReader script;
  private volatile boolean finished;
  private volatile Exception failure;

  Watch(Replay replay, BufferedReader script) {
    this.replay = replay;
    this.script = script;
  }

  void run() throws Exception {
    while (!finished) {
      Thread worker = new Thread(this::work, "replay");
      worker.setDaemon(true);
      worker.start();
      if (!ends(worker)) {
        replay.giveUp();
        stop(worker);
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private void work() {
    try {
      replay.run(script);
      finished = true;
    } catch (Exception e) {
      failure = e;
      finished = true;
    }
  }

  private boolean ends(Thread worker) throws InterruptedException {
    int step = -1;
    long begin = 0;
    long used = 0;
    while (worker.isAlive() && used - begin < PATIENCE) {
      worker.join(100);
      used = Math.max(used, ManagementFactory.getThreadMXBean().getThreadCpuTime(worker.getId()));
      if (replay.steps() != step) {
        step = replay.steps();
        begin = used;
      }
    }
    return !worker.isAlive();
  }

  /** Stops the thread. A loop inside HBase ignores interrupts; stopping releases its locks. */
  @SuppressWarnings({"deprecation", "removal"})
  private static void stop(Thread worker) throws InterruptedException {
    worker.stop();
    worker.join(10_000);
    if (worker.isAlive()) {
      throw new IllegalStateException("cannot stop an operation that never ends");
    }
  }
}
