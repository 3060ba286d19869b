//! Shapes and small numbers of what moves values without changing them.

use super::arithmetic::{axes, broadcast, spread};
use super::rules::{Inputs, Ruled, axis, input, numbers, one, optional};
use super::{Kind, MAX_NUMBERS, Outcome, Value};
use crate::graph::Node;

/// A number that is a size.
fn size(number: f64) -> Ruled<usize> {
    if (0.0..=1e12).contains(&number) && number.fract() == 0.0 {
        Ok(number as usize)
    } else {
        Err(format!("{number} is no size"))
    }
}

fn sizes(numbers: &[f64]) -> Ruled<Vec<usize>> {
    numbers.iter().map(|&number| size(number)).collect()
}

/// Attribute `name`, or input `index` if that is there.
fn list(node: &Node<'_>, inputs: &Inputs<'_>, index: usize, name: &str) -> Ruled<Option<Vec<f64>>> {
    if optional(inputs, index).is_some() {
        return Ok(Some(numbers(inputs, index)?.to_vec()));
    }
    Ok(node.numbers(name).map(|given| given.iter().map(|&number| number as f64).collect()))
}

/// `value` with another shape and the same numbers.
fn reshaped(value: &Value, shape: Vec<usize>) -> Ruled {
    let reshaped = Value { shape, ..value.clone() };
    if reshaped.len() != value.len() {
        return Err(format!("{:?} does not become {:?}", value.shape, reshaped.shape));
    }
    one(reshaped)
}

pub(super) fn reshape(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let wanted = list(node, inputs, 1, "shape")?.ok_or("the shape is missing")?;
    let keeps_zero = node.number("allowzero").unwrap_or_default() != 0;
    let (mut shape, mut free) = (Vec::new(), None);
    for (place, &number) in wanted.iter().enumerate() {
        shape.push(match number {
            -1.0 if free.is_none() => {
                free = Some(place);
                1
            }
            0.0 if !keeps_zero => *value.shape.get(place).ok_or("0 stands for no size")?,
            number => size(number)?,
        });
    }
    if let Some(place) = free {
        let others = Value::float(shape.clone()).len();
        if others == 0 || value.len() % others != 0 {
            return Err(format!("{:?} does not become {wanted:?}", value.shape));
        }
        shape[place] = (value.len() / others) as usize;
    }
    reshaped(value, shape)
}

pub(super) fn flatten(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len();
    let at = axis(node.number("axis").unwrap_or(1) as f64, rank + 1)?;
    let rows = Value::float(value.shape[..at].to_vec()).len() as usize;
    let columns = Value::float(value.shape[at..].to_vec()).len() as usize;
    reshaped(value, vec![rows, columns])
}

pub(super) fn squeeze(node: &Node<'_>, inputs: &Inputs<'_>, opset: i64) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len();
    let given = if opset >= 13 { axes(node, inputs, 1)? } else { axes(node, &[], 1)? };
    let mut goes: Vec<bool> = match &given {
        Some(_) => vec![false; rank],
        None => value.shape.iter().map(|&size| size == 1).collect(),
    };
    for wanted in given.into_iter().flatten() {
        goes[axis(wanted, rank)?] = true;
    }
    let kept = value.shape.iter().zip(&goes).filter(|(_, goes)| !**goes);
    reshaped(value, kept.map(|(&size, _)| size).collect())
}

pub(super) fn unsqueeze(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let given = axes(node, inputs, 1)?.ok_or("axes are missing")?;
    let rank = value.shape.len() + given.len();
    let mut is_new = vec![false; rank];
    for wanted in given {
        is_new[axis(wanted, rank)?] = true;
    }
    let mut old = value.shape.iter();
    let shape = is_new.iter().map(|&is_new| if is_new { Some(1) } else { old.next().copied() });
    reshaped(value, shape.collect::<Option<_>>().ok_or("an axis is named twice")?)
}

pub(super) fn transpose(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len();
    let order: Vec<usize> = match node.numbers("perm") {
        None => (0..rank).rev().collect(),
        Some(given) => given.iter().map(|&a| axis(a as f64, rank)).collect::<Ruled<_>>()?,
    };
    let mut seen = order.clone();
    seen.sort_unstable();
    if !seen.into_iter().eq(0..rank) {
        return Err(format!("perm = {order:?} does not fit {rank} dimensions"));
    }
    let shape = order.iter().map(|&axis| value.shape[axis]).collect();
    let numbers = value.numbers.clone().filter(|_| rank <= 1);
    one(Value { shape, kind: value.kind, numbers })
}

pub(super) fn concat(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let first = input(inputs, 0)?;
    let rank = first.shape.len();
    let along = axis(node.number("axis").ok_or("axis is missing")? as f64, rank)?;
    let (mut shape, mut numbers) = (first.shape.clone(), Some(Vec::new()));
    shape[along] = 0;
    for index in 0..inputs.len() {
        let value = input(inputs, index)?;
        let fits = value.shape.len() == rank
            && (0..rank).all(|d| d == along || value.shape[d] == first.shape[d]);
        if !fits {
            let (a, b) = (&first.shape, &value.shape);
            return Err(format!("{a:?} and {b:?} do not go together"));
        }
        shape[along] += value.shape[along];
        numbers = numbers.zip(value.numbers.as_ref()).filter(|_| rank == 1).map(
            |(mut all, more): (Vec<f64>, _)| {
                all.extend(more);
                all
            },
        );
    }
    let numbers = numbers.filter(|numbers| numbers.len() <= MAX_NUMBERS);
    one(Value { shape, kind: first.kind, numbers })
}

pub(super) fn split(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let along = axis(node.number("axis").unwrap_or_default() as f64, value.shape.len())?;
    let (total, parts) = (value.shape[along], node.outputs.len());
    let lengths = match list(node, inputs, 1, "split")? {
        Some(given) => sizes(&given)?,
        None => {
            let each = total.div_ceil(parts.max(1));
            (0..parts).map(|part| each.min(total.saturating_sub(part * each))).collect()
        }
    };
    if lengths.len() != parts || lengths.iter().sum::<usize>() != total {
        return Err(format!("{total} values do not split into {lengths:?}"));
    }
    let (mut values, mut start) = (Vec::new(), 0);
    for length in lengths {
        let mut shape = value.shape.clone();
        shape[along] = length;
        let one_dimension = value.numbers.as_ref().filter(|_| shape.len() == 1);
        let numbers = one_dimension.map(|numbers| numbers[start..start + length].to_vec());
        values.push(Value { shape, kind: value.kind, numbers });
        start += length;
    }
    Ok(Outcome { values, work: value.len() })
}

pub(super) fn slice(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len();
    let starts = list(node, inputs, 1, "starts")?.ok_or("starts are missing")?;
    let ends = list(node, inputs, 2, "ends")?.ok_or("ends are missing")?;
    let all = || (0..starts.len()).map(|axis| axis as f64).collect();
    let axes = list(node, inputs, 3, "axes")?.unwrap_or_else(all);
    let steps = list(node, inputs, 4, "steps")?.unwrap_or_else(|| vec![1.0; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("starts, ends, axes and steps differ in number".into());
    }
    let (mut shape, mut numbers) = (value.shape.clone(), value.numbers.clone());
    for i in 0..starts.len() {
        let (along, step) = (axis(axes[i], rank)?, steps[i]);
        let total = value.shape[along] as f64;
        let from_start = |at: f64| if at < 0.0 { at + total } else { at };
        let (start, end) = if step > 0.0 {
            (from_start(starts[i]).clamp(0.0, total), from_start(ends[i]).clamp(0.0, total))
        } else if step < 0.0 {
            let last = total - 1.0;
            (from_start(starts[i]).clamp(-1.0, last), from_start(ends[i]).clamp(-1.0, last))
        } else {
            return Err("a step of 0".into());
        };
        shape[along] = ((end - start) / step).ceil().max(0.0) as usize;
        let (len, one_dimension) = (shape[along], rank == 1);
        numbers = numbers.filter(|_| one_dimension).and_then(|numbers| {
            let at = |k| numbers.get((start + k as f64 * step) as usize).copied();
            (0..len).map(at).collect()
        });
    }
    one(Value { shape, kind: value.kind, numbers })
}

pub(super) fn gather(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let (value, indices) = (input(inputs, 0)?, input(inputs, 1)?);
    let along = axis(node.number("axis").unwrap_or_default() as f64, value.shape.len())?;
    let (before, after) = (&value.shape[..along], &value.shape[along + 1..]);
    let shape = [before, &indices.shape, after].concat();
    let known = value.numbers.as_ref().zip(indices.numbers.as_ref());
    let numbers = known.filter(|_| value.shape.len() == 1).and_then(|(numbers, indices)| {
        let at = |&index: &f64| numbers.get(axis(index, numbers.len()).ok()?).copied();
        indices.iter().map(at).collect()
    });
    one(Value { shape, kind: value.kind, numbers })
}

pub(super) fn gather_elements(inputs: &Inputs<'_>) -> Ruled {
    one(Value::of(input(inputs, 1)?.shape.clone(), input(inputs, 0)?.kind))
}

pub(super) fn gather_nd(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let (value, indices) = (input(inputs, 0)?, input(inputs, 1)?);
    if node.number("batch_dims").unwrap_or_default() != 0 {
        return Err("batch_dims is not supported".into());
    }
    let [outer @ .., depth] = &indices.shape[..] else { return Err("indices are a scalar".into()) };
    let Some(inner) = value.shape.get(*depth..) else {
        return Err(format!("{:?} does not index {:?}", indices.shape, value.shape));
    };
    one(Value::of([outer, inner].concat(), value.kind))
}

pub(super) fn expand(inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let wanted = sizes(numbers(inputs, 1)?)?;
    let shape = broadcast([&value.shape[..], &wanted].into_iter())?;
    let numbers = spread(value, &shape);
    one(Value { shape, kind: value.kind, numbers })
}

pub(super) fn tile(inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let times = sizes(numbers(inputs, 1)?)?;
    if times.len() != value.shape.len() {
        return Err(format!("{times:?} does not fit {:?}", value.shape));
    }
    let grow = value.shape.iter().zip(&times).map(|(size, &times)| size.checked_mul(times));
    let shape = grow.collect::<Option<_>>().ok_or("the result is too large")?;
    one(Value::of(shape, value.kind))
}

pub(super) fn pad(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len();
    let pads = list(node, inputs, 1, "pads")?.ok_or("pads are missing")?;
    let all = || (0..rank).map(|axis| axis as f64).collect();
    let axes: Vec<f64> = match optional(inputs, 3) {
        Some(_) => numbers(inputs, 3)?.to_vec(),
        None => all(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} dimensions", pads.len(), axes.len()));
    }
    let mut shape = value.shape.clone();
    for (i, &wanted) in axes.iter().enumerate() {
        let along = axis(wanted, rank)?;
        shape[along] = size(value.shape[along] as f64 + pads[i] + pads[axes.len() + i])?;
    }
    one(Value::of(shape, value.kind))
}

pub(super) fn depth_to_space(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let block = usize::try_from(node.number("blocksize").unwrap_or_default()).unwrap_or_default();
    let (&[n, c, h, w], 1..=64) = (&value.shape[..], block) else {
        return Err(format!("{:?} in blocks of {block}", value.shape));
    };
    reshaped(value, vec![n, c / (block * block), h * block, w * block])
}

pub(super) fn shape(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len() as i64;
    let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
    let start = place(node.number("start").unwrap_or_default());
    let end = place(node.number("end").unwrap_or(rank)).max(start);
    let sizes = value.shape[start..end].iter().map(|&size| size as f64).collect();
    Ok(Outcome { values: vec![Value::integers(sizes, false)], work: 1 })
}

pub(super) fn constant_of_shape(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let shape = sizes(numbers(inputs, 0)?)?;
    let fill = node.attributes.get("value").and_then(|value| value.tensor.as_ref());
    let fill = fill.map(Value::of_tensor);
    let kind = fill.as_ref().map_or(Kind::Float, |fill| fill.kind);
    let number = match &fill {
        None => Some(0.0),
        Some(fill) => fill.numbers.as_ref().and_then(|numbers| numbers.first().copied()),
    };
    let mut value = Value::of(shape, kind);
    if value.len() <= MAX_NUMBERS as u64 {
        value.numbers = number.map(|number| vec![number; value.len() as usize]);
    }
    one(value)
}

pub(super) fn range(inputs: &Inputs<'_>) -> Ruled {
    let number = |index| {
        let numbers = numbers(inputs, index)?;
        numbers.first().copied().ok_or_else(|| format!("input {index} is empty"))
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let len = size(((limit - start) / step).ceil().max(0.0))?;
    let kind = input(inputs, 0)?.kind;
    let few = len <= MAX_NUMBERS;
    let numbers = few.then(|| (0..len).map(|i| start + i as f64 * step).collect());
    one(Value { shape: vec![len], kind, numbers })
}
