//! Pictures of the potential energy: the paper's Fig. 1 ([`curve()`]), Fig. 4 ([`comparison()`]), and
//! Fig. 3 and 5, points on their way to rest ([`animation()`], [`strip()`], and curves over the steps
//! with [`settling()`]).

mod animation;
mod curve;
mod scene;
mod settling;
mod view;

pub use animation::{animation, strip};
pub use curve::{comparison, curve};
pub use settling::{settling, steps};
