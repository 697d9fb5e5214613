//! The real libtdjson behind proxies that do not work, in a network where every packet is seen.
//!
//! TDLib goes past a proxy that does not work. The test runs the library without a guard until that
//! has been seen, and with a guard all the while; then it looks at every packet of the latter. Each
//! runs in a child process with a network namespace of its own, in which every IPv4 address is this
//! machine's, so that nothing gets lost before it becomes a packet.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its child speaks by its output"
)]

mod child;
mod network;
mod proxies;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use child::CHILD;
use proxies::ProxyCase;

#[test]
fn nothing_but_the_proxies_is_reached_whatever_they_do() {
    const NAME: &str = "nothing_but_the_proxies_is_reached_whatever_they_do";
    if let Some(name) = std::env::var_os(CHILD) {
        return child::run(&name.into_string().unwrap());
    }
    let mut guarded = Watched::start(NAME, "guarded");
    let leaking: Vec<_> = ProxyCase::all().filter(|case| case.leaks()).collect();
    let unguarded = leaking.iter().map(|case| Watched::start(NAME, &case.name()));
    for (case, mut child) in leaking.iter().zip(unguarded.collect::<Vec<_>>()) {
        let leak = child.line();
        println!("{} without a guard: {leak}", case.name());
        assert!(leak.starts_with("past the proxy"), "{}: {leak}", case.name());
    }
    println!("with a guard: {}", guarded.line());
    println!("with a guard: {}", guarded.end());
    assert_eq!(guarded.line(), "only the proxies");
}

/// A child process in a network namespace of its own.
struct Watched {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Watched {
    /// Runs this test as a child; see [`child::run`].
    fn start(test: &str, name: &str) -> Self {
        // This machine is every address, and answers DNS questions, for the child only.
        let script = "set -e; ip link set lo up; ip route add local default dev lo; \
                      mount --bind \"$0\" /etc/resolv.conf; exec \"$@\"";
        let resolver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guard/resolv.conf");
        let mut process = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", script])
            .arg(resolver)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        Self { process, input, output: BufReader::new(output) }
    }

    /// The next line that is not the test harness's.
    fn line(&mut self) -> String {
        let lines = (&mut self.output).lines().map(Result::unwrap);
        let mut own = lines.filter_map(|line| line.strip_prefix("child: ").map(str::to_owned));
        own.next().unwrap()
    }

    /// Lets the child end; its last line.
    fn end(&mut self) -> String {
        drop(self.input.take());
        self.line()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.input.take());
        self.process.wait().unwrap();
    }
}
