//! The networks that a run trains: one, or two that teach each other.
//!
//! In files the tensors of the first have their plain names, so that a run of one network looks as
//! if there were no other, and those of its peer stand below `peer.`.

use burn::tensor::Device;
use pemm_data::{Shape, Streams};

use crate::error::Result;
use crate::model::{Classifier, ModelPlan};
use crate::tensors::{TensorMap, apply, collect};

/// Prefix of the second network's tensors.
pub(crate) const PEER: &str = "peer.";
/// No method here trains more.
pub const MAX_NETWORKS: usize = 2;

/// `num` networks of one plan, each with initial weights of its own.
pub fn networks(
    num: usize,
    plan: &ModelPlan,
    shape: Shape,
    num_classes: usize,
    streams: Streams,
    device: &Device,
) -> Vec<Classifier> {
    assert!((1..=MAX_NETWORKS).contains(&num), "one network or two, not {num}");
    (0..num as u64)
        .map(|number| Classifier::numbered(number, plan, shape, num_classes, streams, device))
        .collect()
}

/// The tensors of all networks by name.
pub fn collect_all(networks: &[Classifier]) -> TensorMap {
    join(networks.iter().map(collect).collect())
}

/// Puts what [`collect_all`] gave into `networks`; `file` names the origin in errors.
pub fn apply_all(
    networks: Vec<Classifier>,
    tensors: TensorMap,
    file: &str,
) -> Result<Vec<Classifier>> {
    let parts = split(tensors, networks.len());
    networks.into_iter().zip(parts).map(|(network, part)| apply(network, part, file)).collect()
}

/// One map of the maps of each network.
pub(crate) fn join(parts: Vec<TensorMap>) -> TensorMap {
    let mut parts = parts.into_iter();
    let mut joined = parts.next().unwrap_or_default();
    for peer in parts {
        joined.extend(peer.into_iter().map(|(name, values)| (format!("{PEER}{name}"), values)));
    }
    joined
}

/// The maps of `num` networks of one; the first keeps the names that belong to no other.
pub(crate) fn split(joined: TensorMap, num: usize) -> Vec<TensorMap> {
    if num == 1 {
        return vec![joined];
    }
    let mut parts = vec![TensorMap::new(); 2];
    for (name, values) in joined {
        match name.strip_prefix(PEER) {
            Some(rest) => parts[1].insert(rest.to_owned(), values),
            None => parts[0].insert(name, values),
        };
    }
    parts
}
