//! Faults under load, seed after seed; `make chaos` runs it. See `docs/chaos.md`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it prints its progress, and panics on failure"
)]

#[path = "../support/installation.rs"]
mod installation;
#[path = "suite/lib.rs"]
mod suite;

use std::process::ExitCode;
use std::time::Duration;

use suite::{ChaosOptions, FaultKind};

const HELP: &str = "chaos [--hostile] [--seed N] [--seeds N] [--minutes N] [--accounts N] [--workers N] \
                    [--rate COMMANDS_PER_SECOND] [--faults NAME,NAME,…]";
/// Faults per seed; the next seed continues with those that follow.
const FAULTS: usize = 6;
/// Short, so that a take-over takes only seconds.
const LEASE_S: u64 = 4;
const CALM: Duration = Duration::from_secs(6);
/// How long floods last, and the time before them for comparison.
const OBSERVATION: Duration = Duration::from_secs(15);
/// The same for the attacks of `--hostile`.
const ATTACK: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this program with `--test`; it has no tests.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match CommandLine::read(&arguments) {
        Ok(arguments) => arguments.run(),
        Err(problem) => {
            println!(
                "{problem}\n{HELP}\nfaults: {}",
                FaultKind::ALL.map(FaultKind::name).join(",")
            );
            ExitCode::from(2)
        }
    }
}

struct CommandLine {
    seed: u64,
    seeds: u64,
    minutes: u64,
    accounts: u32,
    workers: usize,
    rate: f64,
    faults: Option<Vec<FaultKind>>,
    observation: Duration,
}

impl CommandLine {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let seed = runtime::Clock::system().unix_seconds();
        let mut read = Self {
            seed,
            seeds: 1,
            minutes: 3,
            accounts: 200,
            workers: 3,
            rate: 1.5,
            faults: None,
            observation: OBSERVATION,
        };
        let mut arguments = arguments.iter().filter(|argument| *argument != "--bench");
        while let Some(name) = arguments.next() {
            if name == "--hostile" {
                (read.accounts, read.workers, read.rate) = (21, 2, 4.0);
                (read.faults, read.observation) = (Some(vec![FaultKind::Hostile]), ATTACK);
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--seed" => read.seed = parse(name, value)?,
                "--seeds" => read.seeds = parse(name, value)?,
                "--minutes" => read.minutes = parse(name, value)?,
                "--accounts" => read.accounts = parse(name, value)?,
                "--workers" => read.workers = parse(name, value)?,
                "--rate" => read.rate = parse(name, value)?,
                "--faults" => read.faults = Some(kinds(value)?),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(read)
    }

    fn run(&self) -> ExitCode {
        let mut broken = Vec::new();
        for seed in self.seed..self.seed + self.seeds {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let verdict = runtime.block_on(suite::run(self.options(seed)));
            if let Some(kept) = verdict.kept {
                broken.push(format!(
                    "seed {seed}: {} violations, {}",
                    verdict.violations.len(),
                    kept.display()
                ));
            }
        }
        println!("{} of {} seeds passed", self.seeds - broken.len() as u64, self.seeds);
        for line in &broken {
            println!("{line}");
        }
        if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn options(&self, seed: u64) -> ChaosOptions {
        let faults = self.faults.clone().unwrap_or_else(|| {
            let first = usize::try_from(seed % FaultKind::ALL.len() as u64).unwrap_or(0) * FAULTS;
            FaultKind::ALL.iter().copied().cycle().skip(first).take(FAULTS).collect()
        });
        ChaosOptions {
            seed,
            accounts: self.accounts,
            workers: self.workers,
            lease_s: LEASE_S,
            rate: self.rate,
            calm: CALM,
            observation: self.observation,
            longest: Duration::from_mins(self.minutes),
            faults,
        }
    }
}

fn parse<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("invalid value for {name}: {value}"))
}

fn kinds(names: &str) -> Result<Vec<FaultKind>, String> {
    let kind = |name: &str| FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
    names.split(',').map(|name| kind(name).ok_or_else(|| format!("unknown fault {name}"))).collect()
}
