//! What reading an input costs, independent of how busy the machine is.

use rustix::time::{ClockId, clock_gettime};

/// How much larger the larger input is.
const GROWTH: usize = 16;
/// The larger input may cost this much more than in proportion; with a quadratic cost it would be
/// [`GROWTH`] times more.
const TOLERANCE: u128 = 4;
/// The least time of this many runs counts.
const RUNS: usize = 5;

/// Runs a function, and counts the bytes that it allocates in this thread, freed or not.
pub fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    let result = result.unwrap_or_else(|| unreachable!("it has run"));
    (result, usize::try_from(info.bytes_total).unwrap_or(usize::MAX))
}

/// Panics if reading an input that is 16 times as large takes over 64 times the time: a cost that
/// grows with the square would take 256 times. `input` makes an input of about that many parts.
///
/// The time is the thread's own on a processor, the least of five runs.
///
/// # Panics
///
/// The cost grows faster.
pub fn grows_linearly<T>(parts: usize, input: impl Fn(usize) -> T, read: impl Fn(&T)) {
    let cost = |parts: usize| {
        let input = input(parts);
        let one = |_| {
            let begun = thread_time();
            read(&input);
            thread_time() - begun
        };
        (0..RUNS).map(one).min().unwrap_or_default().max(1)
    };
    let (small, large) = (cost(parts), cost(parts * GROWTH));
    assert!(
        large <= small * GROWTH as u128 * TOLERANCE,
        "{parts} parts take {small} ns, {GROWTH} times as many take {large} ns"
    );
}

/// Nanoseconds that this thread has run.
fn thread_time() -> u128 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    nanoseconds.unsigned_abs()
}
