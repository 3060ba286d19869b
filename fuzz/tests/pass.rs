//! Each reader on its seeds, and on some hundred mutations of them that are alike in every run: none
//! may panic, hang, or take more memory than it states.

use std::alloc::System;
use std::time::{Duration, Instant};

use cap::Cap;
use pemm_data::source::Kind;
use pemm_data::{Stream, Streams};
use pemm_fuzz::{mutated, targets, targets_of};

/// An allocation above its limit ends the process, and the last line names the target.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Mutations of a target.
const COUNT: usize = 400;
/// Longest that one input may take; it is some milliseconds, but a machine may do other things.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn no_reader_panics_hangs_or_fills_the_memory() {
    let all = targets();
    for name in Kind::ALL.into_iter().flat_map(targets_of) {
        assert!(all.iter().any(|target| target.name == *name), "no target is called {name}");
    }
    for target in all {
        eprintln!("{}", target.name);
        let seeds = (target.seeds)();
        let mut rng = Streams::new(20).open(Stream::Shuffle);
        for number in 0..seeds.len() + COUNT {
            let input = match seeds.get(number) {
                Some(seed) => seed.clone(),
                None => mutated(&seeds[number % seeds.len()], &mut rng),
            };
            let limit = MEMORY.allocated() + target.max_bytes;
            MEMORY.set_limit(limit).expect("more than there is");
            let start = Instant::now();
            (target.read)(&input);
            let took = start.elapsed();
            assert!(took < PATIENCE, "{} {number} took {took:?}", target.name);
        }
        MEMORY.set_limit(usize::MAX).expect("more than there is");
    }
}
