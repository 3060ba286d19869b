//! Each reader on its seeds, and on some hundred mutations of them that are alike in every run: none
//! may panic, hang, or take more memory than it states. `PEMM_FUZZ_COUNT` asks for another number of
//! mutations, `PEMM_FUZZ_SEED` for others, `PEMM_FUZZ` for one target; `--nocapture` shows the counts.

use std::alloc::System;
use std::env;
use std::time::{Duration, Instant};

use cap::Cap;
use pemm_data::source::Kind;
use pemm_data::{Stream, Streams};
use pemm_fuzz::{mutated, targets, targets_of};

/// An allocation above its limit ends the process, and the last line names the target.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Mutations of a target, unless another number is asked for.
const COUNT: u64 = 400;
/// Longest that one input may take; it is some milliseconds, but a machine may do other things.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number that an environment variable gives.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_reader_panics_hangs_or_fills_the_memory() {
    let (count, seed) = (number("PEMM_FUZZ_COUNT"), number("PEMM_FUZZ_SEED"));
    let count = count.unwrap_or(COUNT) as usize;
    let wanted = env::var("PEMM_FUZZ").ok();
    let all = targets();
    for name in Kind::ALL.into_iter().flat_map(targets_of) {
        assert!(all.iter().any(|target| target.name == *name), "no target is called {name}");
    }
    for target in all {
        if wanted.as_ref().is_some_and(|name| name != target.name) {
            continue;
        }
        let (since, seeds) = (Instant::now(), (target.seeds)());
        let mut rng = Streams::new(seed.unwrap_or(20)).open(Stream::Shuffle);
        for number in 0..seeds.len() + count {
            let input = match seeds.get(number) {
                Some(seed) => seed.clone(),
                None => {
                    let mut input = seeds[number % seeds.len()].clone();
                    (0..=rng.below(3)).for_each(|_| input = mutated(&input, &mut rng));
                    input
                }
            };
            let limit = MEMORY.allocated() + target.max_bytes;
            MEMORY.set_limit(limit).expect("more than there is");
            let start = Instant::now();
            (target.read)(&input);
            let took = start.elapsed();
            assert!(took < PATIENCE, "{} {number} took {took:?}", target.name);
        }
        MEMORY.set_limit(usize::MAX).expect("more than there is");
        eprintln!("{},{},{:.1}", target.name, seeds.len() + count, since.elapsed().as_secs_f64());
    }
}
