//! The state of the machine during a measurement: CPU time of other processes, memory, caches.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Jiffies that all CPUs worked, and jiffies that the hypervisor took.
fn jiffies() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or("");
    let fields: Vec<f64> = first.split_whitespace().skip(1).filter_map(|x| x.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    match fields[..] {
        [user, nice, system, _, _, irq, softirq, steal, ..] => (user + nice + system + irq + softirq, steal),
        _ => (0.0, 0.0),
    }
}

/// CPU seconds of this process.
fn process_cpu_secs() -> f64 {
    // SAFETY: a rusage is plain integers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let secs = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    secs(usage.ru_utime) + secs(usage.ru_stime)
}

/// CPU seconds of the calling thread.
pub fn thread_cpu_secs() -> f64 {
    // SAFETY: a timespec is plain integers, for which zeros are valid.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Measures how many CPUs other processes and the hypervisor use.
pub struct Noise {
    busy: f64,
    steal: f64,
    own: f64,
    start: Instant,
}

impl Noise {
    pub fn start() -> Self {
        let (busy, steal) = jiffies();
        Noise { busy, steal, own: process_cpu_secs(), start: Instant::now() }
    }

    /// CPUs since the start: 0.05 is 5 % of one.
    pub fn cpus(&self) -> f64 {
        let (busy, steal) = jiffies();
        // SAFETY: sysconf has no precondition.
        let hz = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        let other = (busy - self.busy) / hz - (process_cpu_secs() - self.own);
        (other.max(0.0) + (steal - self.steal) / hz) / self.start.elapsed().as_secs_f64()
    }
}

/// Waits until others use less than `max` CPUs, at most `max_wait` seconds.
pub fn wait_quiet(max: f64, max_wait: f64) {
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < max_wait {
        let noise = Noise::start();
        thread::sleep(Duration::from_millis(300));
        if noise.cpus() < max {
            return;
        }
    }
}

/// The largest resident set since [`reset_peak`], in MB.
pub fn peak_rss_mb() -> f64 {
    status_bytes("VmHWM:") / 1e6
}

/// The resident set, in bytes.
pub fn rss() -> f64 {
    status_bytes("VmRSS:")
}

/// A size of this process that the kernel reports.
fn status_bytes(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(name));
    let kib: Option<f64> = line.and_then(|l| l.split_whitespace().nth(1)).and_then(|x| x.parse().ok());
    kib.unwrap_or(0.0) * 1024.0
}

/// The number of files that this process has open.
pub fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

pub fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Returns freed memory to the system, so that it is not counted in the next phase.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Names the calling thread and those that it starts from now on. The system keeps the first 15 bytes.
pub fn name_threads(name: &str) {
    let mut text = [0u8; 16];
    name.bytes().take(15).zip(&mut text).for_each(|(from, to)| *to = from);
    // SAFETY: the text ends with a zero, and the system copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, text.as_ptr()) };
}

/// Reads every file below a directory, so that the page cache has them.
pub fn warm_page_cache(dir: &Path) {
    let mut buffer = vec![0u8; 1 << 20];
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            warm_page_cache(&entry.path());
        } else if let Ok(mut file) = fs::File::open(entry.path()) {
            while matches!(file.read(&mut buffer), Ok(n) if n > 0) {}
        }
    }
}

pub fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|l| l.starts_with("model name"));
    line.and_then(|l| l.split(':').nth(1)).map(|s| s.trim().to_string()).unwrap_or_default()
}
