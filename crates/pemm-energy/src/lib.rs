//! The potential energy of points in space, in float64 and without the tensor engine: its equations
//! ([`potential`]), and how points come to rest under it ([`mod@settle`], with the sums over all pairs
//! in [`pairs`]), and how pairs are weighted ([`shares`]). The crate `pemm` trains class centers with the same [`Potential`].

pub mod error;
pub mod pairs;
pub mod potential;
pub mod settle;
pub mod shares;

pub use error::{EnergyError, Result};
pub use potential::Potential;
pub use settle::{Settled, Settling, settle};
pub use shares::Pairs;
