//! The integration tests of the engine, in one binary because linking Burn takes long.

#[path = "../../examples/bare_loop.rs"]
mod bare_loop;
mod bonds;
mod contract;
mod energy;
mod ensemble;
mod faults;
mod methods;
mod model;
mod objectives;
mod outsiders;
mod reference;
mod trace;
mod training;
mod trusted;
