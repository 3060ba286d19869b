//! Shapes and cost of products: matrices, einsum, attention.

use std::collections::BTreeMap;

use super::arithmetic::broadcast;
use super::rules::{Inputs, Ruled, input, optional};
use super::{Outcome, Value};
use crate::graph::Node;

/// A float of `shape` where each element is a sum of `depth` products.
fn product(shape: Vec<usize>, depth: usize) -> Ruled {
    let value = Value::float(shape);
    let work = value.len().saturating_mul(depth.max(1) as u64);
    Ok(Outcome { values: vec![value], work })
}

pub(super) fn matmul(inputs: &Inputs<'_>) -> Ruled {
    let (a, b) = (&input(inputs, 0)?.shape, &input(inputs, 1)?.shape);
    let [.., a_depth] = a[..] else { return Err("a scalar has no matrix".into()) };
    let (a_rows, a_outer) = match a[..] {
        [ref outer @ .., rows, _] => (Some(rows), outer),
        _ => (None, &[][..]),
    };
    let (b_depth, b_columns, b_outer) = match b[..] {
        [ref outer @ .., depth, columns] => (depth, Some(columns), outer),
        [depth] => (depth, None, &[][..]),
        [] => return Err("a scalar has no matrix".into()),
    };
    if a_depth != b_depth {
        return Err(format!("{a:?} and {b:?} do not go together"));
    }
    let mut shape = broadcast([a_outer, b_outer].into_iter())?;
    shape.extend(a_rows);
    shape.extend(b_columns);
    product(shape, a_depth)
}

pub(super) fn gemm(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let matrix = |index, key| {
        let shape = &input(inputs, index)?.shape;
        let [rows, columns] = shape[..] else {
            return Err(format!("{shape:?} is no matrix"));
        };
        let is_turned = node.number(key).unwrap_or_default() != 0;
        Ok(if is_turned { [columns, rows] } else { [rows, columns] })
    };
    let ([rows, a_depth], [b_depth, columns]) = (matrix(0, "transA")?, matrix(1, "transB")?);
    if a_depth != b_depth {
        return Err(format!("[{rows}, {a_depth}] and [{b_depth}, {columns}] do not go together"));
    }
    if let Some(bias) = optional(inputs, 2) {
        let shape = [rows, columns];
        if broadcast([&shape[..], &bias.shape[..]].into_iter())? != shape {
            return Err(format!("the bias {:?} does not go with {shape:?}", bias.shape));
        }
    }
    product(vec![rows, columns], a_depth)
}

pub(super) fn einsum(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let equation: String = node.text("equation").unwrap_or_default().split_whitespace().collect();
    let wrong = |what: &str| format!("the equation {equation:?} {what}");
    let Some((terms, result)) = equation.split_once("->") else {
        return Err(wrong("does not name its result"));
    };
    let mut sizes: BTreeMap<char, usize> = BTreeMap::new();
    let terms: Vec<&str> = terms.split(',').collect();
    if terms.len() != inputs.len() || terms.len() > 2 {
        return Err(wrong("does not have one term for each input, of which two are the most"));
    }
    for (index, term) in terms.iter().enumerate() {
        let shape = &input(inputs, index)?.shape;
        if term.chars().count() != shape.len() {
            return Err(wrong(&format!("does not fit the shape {shape:?}")));
        }
        for (letter, &size) in term.chars().zip(shape) {
            let found = *sizes.entry(letter).or_insert(size);
            if !letter.is_ascii_alphabetic() || found != size {
                return Err(wrong(&format!("does not fit the shape {shape:?}")));
            }
        }
    }
    let size = |letter: char| sizes.get(&letter).copied();
    let shape: Option<Vec<usize>> = result.chars().map(size).collect();
    let shape = shape.ok_or_else(|| wrong("has a letter in its result only"))?;
    let work = sizes.values().fold(1u64, |total, &size| total.saturating_mul(size as u64));
    Ok(Outcome { values: vec![Value::float(shape)], work })
}

/// Attention of opset 23: queries, keys and values, with or without a dimension for the heads.
pub(super) fn attention(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let [q, k, v] = [0, 1, 2].map(|index| input(inputs, index));
    let (q, k, v) = (&q?.shape, &k?.shape, &v?.shape);
    let (shape, scores, depth) = match (&q[..], &k[..], &v[..]) {
        (&[n, heads, queries, depth], &[_, _, keys, _], &[_, _, _, width]) => {
            (vec![n, heads, queries, width], [n, heads, queries, keys], depth + width)
        }
        (&[n, queries, depth], &[_, keys, _], &[_, _, width]) => {
            let heads = |key| node.number(key).and_then(|heads| usize::try_from(heads).ok());
            let heads = heads("q_num_heads").zip(heads("kv_num_heads"));
            let Some((q_heads, kv_heads @ 1..)) = heads else {
                return Err("the numbers of heads are missing".into());
            };
            let all = (width / kv_heads).saturating_mul(q_heads);
            let depth = (depth + width) / q_heads.max(1);
            (vec![n, queries, all], [n, q_heads, queries, keys], depth)
        }
        _ => return Err(format!("{q:?}, {k:?} and {v:?} do not go together")),
    };
    // The scores are no output, but they are in memory: counted as work, and kept from being large.
    let scores = Value::float(scores.to_vec());
    if scores.len().saturating_mul(4) > super::MAX_LIVE_BYTES / 2 {
        return Err(format!("{:?} scores are too many", scores.shape));
    }
    let work = scores.len().saturating_mul(depth.max(1) as u64);
    Ok(Outcome { values: vec![Value::float(shape)], work })
}
