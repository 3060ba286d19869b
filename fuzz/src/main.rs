//! libFuzzer on the target that the environment variable `PEMM_FUZZ` names; `run.sh` starts it.
#![no_main]

use std::alloc::System;
use std::sync::OnceLock;

use cap::Cap;
use pemm_fuzz::{Target, targets};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("PEMM_FUZZ").unwrap_or_default();
        let target = targets().into_iter().find(|target| target.name == name);
        target.unwrap_or_else(|| panic!("PEMM_FUZZ={name}: there is no such target"))
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = target();
    // What is kept from input to input counts as free.
    MEMORY.set_limit(MEMORY.allocated() + target.max_bytes).expect("more than there is");
    (target.read)(bytes);
});
