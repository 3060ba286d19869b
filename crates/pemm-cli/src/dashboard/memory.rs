//! Memory of this process, where the system tells it through a file: on Linux.

/// Bytes in use now, and the most that there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

/// The memory of this process; `None` where it is not known.
pub(crate) fn now() -> Option<Memory> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<Memory> {
    let bytes = |key: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
        kib.checked_mul(1024)
    };
    Some(Memory { now: bytes("VmRSS:")?, most: bytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_kibibytes() {
        let text = "Name:\tpemm\nVmHWM:\t    2048 kB\nVmRSS:\t     512 kB\nThreads:\t3\n";
        assert_eq!(parse(text), Some(Memory { now: 512 * 1024, most: 2048 * 1024 }));
        assert_eq!(parse("Name:\tpemm\n"), None);
    }
}
