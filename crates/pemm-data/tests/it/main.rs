//! What people bring and what attackers send, through the public functions of the crate.

mod cases;
mod pictures;
