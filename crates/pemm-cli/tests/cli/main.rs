//! The binary as a user meets it, in one test target because linking Burn takes long.
#![cfg(unix)]

mod audit;
mod auto;
mod backbone;
mod commands;
mod dashboard;
mod energy;
mod folders;
mod grid;
mod help;
mod images;
mod interruption;
mod labels;
mod mistakes;
mod moved;
mod place;
mod refusals;
mod report;
mod running;
mod slurm;
mod training;
