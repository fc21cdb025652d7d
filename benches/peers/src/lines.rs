//! The lines that a measuring process prints: a JSON object each. `Bench.java` prints the same.

use anyhow::Result;
use serde_json::{Value, json};

use crate::measure::Sample;
use crate::sys;

/// Prints the lines of one engine in one pass.
pub struct Lines {
    pub engine: String,
    pub variant: String,
    pub n: u64,
    pub pass: u64,
}

impl Lines {
    fn object(&self) -> Value {
        json!({ "engine": self.engine, "variant": self.variant, "n": self.n, "pass": self.pass })
    }

    /// Measures a workload, and prints the result. A profiler finds the time of the workload under its name.
    pub fn measure(
        &self,
        workload: &str,
        threads: usize,
        take: impl FnOnce() -> Result<Sample>,
    ) -> Result<()> {
        sys::name_threads(workload.strip_prefix("file-").unwrap_or(workload));
        let sample = take();
        sys::name_threads("peers");
        self.sample(workload, threads, &sample?);
        Ok(())
    }

    fn sample(&self, workload: &str, threads: usize, sample: &Sample) {
        let mut line = self.object();
        line["workload"] = json!(workload);
        line["threads"] = json!(threads);
        line["value"] = json!(sample.value);
        line["unit"] = json!(sample.unit);
        if let Some(value) = sample.cpu_value {
            line["cpu_value"] = json!(value);
        }
        line["ops"] = json!(sample.ops);
        line["secs"] = json!(sample.secs);
        line["noise_cpus"] = json!((sample.noise * 1000.0).round() / 1000.0);
        line["attempts"] = json!(sample.attempts);
        if let Some([p50, p99, p999]) = sample.latency {
            line["p50_us"] = json!(p50);
            line["p99_us"] = json!(p99);
            line["p999_us"] = json!(p999);
        }
        println!("{line}");
    }

    /// Prints a number that took no time to measure.
    pub fn number(&self, workload: &str, value: f64, unit: &str) {
        let mut line = self.object();
        line["workload"] = json!(workload);
        line["threads"] = json!(1);
        line["value"] = json!(value);
        line["unit"] = json!(unit);
        println!("{line}");
    }

    /// Prints versions and settings.
    pub fn about(&self, text: &str) {
        let mut line = self.object();
        line["about"] = json!(text);
        println!("{line}");
    }
}
