//! What the system says about a process: processor time and memory. Linux tells through `/proc`;
//! elsewhere everything here is unknown.

use std::fs;

/// Ticks per second of the times in `/proc/<pid>/stat`: `USER_HZ`, which is 100 on every
/// architecture that Linux gives a user today, whatever its own timer does.
const TICKS_PER_SEC: f64 = 100.0;

/// Seconds of processor time, user and system, of all threads of this process since its start.
///
/// On a machine that others use too this is a run's cost; seconds by the clock are not.
pub fn cpu_seconds() -> Option<f64> {
    cpu_of_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// Fields 14 and 15 of `stat`. Field 2 is the program's name in brackets, which may hold anything,
/// brackets and spaces included, so counting begins after the last bracket.
fn cpu_of_stat(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SEC)
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use now.
    pub resident: u64,
    /// The most that was ever in use.
    pub peak: u64,
}

/// Memory of process `pid`, while it lives.
pub fn memory(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Memory { resident: kib(&status, "VmRSS:")?, peak: kib(&status, "VmHWM:")? })
}

/// Memory that can be taken without swapping, in bytes: what the machine has, or what the control
/// group of this process may still take, if that is less.
pub fn free_memory() -> Option<u64> {
    let machine = kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(group_free().map_or(machine, |group| group.min(machine)))
}

/// What a control group (version 2, as a container sees its own) may still take. Pages of its file
/// cache that lie idle can be given back, so they count as free.
fn group_free() -> Option<u64> {
    let read = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let limit = number("memory.max")?; // "max" is no number: no limit
    let used = number("memory.current")?;
    let stat = read("memory.stat")?;
    let idle =
        stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(idle.unwrap_or(0))))
}

/// The value of `key` in a listing of the kernel's, in bytes.
fn kib(listing: &str, key: &str) -> Option<u64> {
    let rest = listing.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 3 0 7";
        assert_eq!(cpu_of_stat(stat), Some(2.0));
        assert_eq!(cpu_of_stat("42 (a) S 1 2"), None);
        assert_eq!(cpu_of_stat(""), None);
    }

    #[test]
    fn listings_are_read_in_bytes() {
        let listing = "VmHWM:\t  2048 kB\nVmRSS:\t    12 kB\nThreads:\t3\n";
        assert_eq!(kib(listing, "VmHWM:"), Some(2 << 20));
        assert_eq!(kib(listing, "VmRSS:"), Some(12 << 10));
        assert_eq!((kib(listing, "Threads:"), kib(listing, "VmSwap:")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_time_and_memory() {
        let before = cpu_seconds().unwrap();
        let mut sum = 0u64;
        while cpu_seconds().unwrap() < before + 0.05 {
            sum = (0..100_000u64).fold(sum, |sum, x| std::hint::black_box(sum ^ x));
        }
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident > 100_000 && memory.peak >= memory.resident, "{memory:?}");
        assert!(free_memory().unwrap() > 0);
    }
}
