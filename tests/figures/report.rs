//! A run's figures as data, in `docs/figures`; `cargo xtask figures` writes docs/figures.md from them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use runtime::Clock;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cpu;

/// Where the data of every run is kept.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/figures");

/// The answer to one question.
#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) question: &'static str,
    /// What exactly was measured: a sentence each.
    pub(crate) notes: &'static [&'static str],
    /// With units.
    pub(crate) columns: &'static [&'static str],
    pub(crate) rows: Vec<Vec<Value>>,
}

/// How long each command of a load took, and what it cost the worker.
pub(crate) struct Measurement {
    process: u32,
    began: Instant,
    cpu_before: Duration,
}

impl Measurement {
    /// Starts before the first command of the load.
    pub(crate) fn start(process: u32) -> Self {
        Self { process, began: Instant::now(), cpu_before: cpu::of(process) }
    }

    /// The load's row: its name, commands in flight, commands per second, median and 99th percentile
    /// in ms, the worker's CPU time per command in µs.
    pub(crate) fn row(self, name: &str, in_flight: usize, mut took: Vec<Duration>) -> Vec<Value> {
        let count = u32::try_from(took.len()).unwrap();
        let elapsed = self.began.elapsed();
        let cpu = cpu::of(self.process).saturating_sub(self.cpu_before) / count;
        took.sort();
        let percentile = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64();
        vec![
            json!(name),
            json!(in_flight),
            rounded(f64::from(count) / elapsed.as_secs_f64(), 0),
            rounded(percentile(50) * 1e3, 2),
            rounded(percentile(99) * 1e3, 2),
            rounded(cpu.as_secs_f64() * 1e6, 0),
        ]
    }
}

/// Rounds to a number of decimals.
pub(crate) fn rounded(number: f64, decimals: i32) -> Value {
    let factor = 10_f64.powi(decimals);
    json!((number * factor).round() / factor)
}

/// Runnable tasks over the last minute: above 1 before a run, other work disturbs it.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Writes `<date>-<commit>.json` and prints its path. `load` is from before the run.
pub(crate) fn write(tables: &[Table], load: f64) {
    let time = Clock::system().now();
    let commit = output("git", &["describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]);
    let report = json!({
        "time": time.to_string(),
        "commit": commit,
        "cpu": field_of("/proc/cpuinfo", "model name", ':'),
        "cores": available_parallelism().unwrap().get(),
        "system": field_of("/etc/os-release", "PRETTY_NAME", '=').trim_matches('"'),
        "load": load,
        "kernel": output("uname", &["-r"]),
        "redis": output("redis-server", &["--version"]).split(' ').find_map(|word| word.strip_prefix("v=")),
        "tables": tables,
    });
    let path = Path::new(FOLDER).join(format!("{}-{commit}.json", time.strftime("%Y-%m-%d")));
    fs::write(&path, serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
    println!("{}", path.display());
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The first value of a name in a file of lines such as `name: value`.
fn field_of(path: &str, name: &str, separator: char) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut fields = text.lines().filter_map(|line| line.split_once(separator));
    let value = fields.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim());
    value.unwrap_or_default().to_owned()
}
