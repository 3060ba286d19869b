//! Shapes and small numbers of what works element by element, and of reductions.

use super::rules::{Inputs, Ruled, axis, input, kind_of, numbers, one, optional};
use super::{Kind, MAX_NUMBERS, Outcome, Value};
use crate::graph::Node;

/// The common shape of `shapes`; sizes are equal or 1, aligned at the end.
pub(super) fn broadcast<'a>(shapes: impl Iterator<Item = &'a [usize]>) -> Ruled<Vec<usize>> {
    let mut common: Vec<usize> = Vec::new();
    for shape in shapes {
        while common.len() < shape.len() {
            common.insert(0, 1);
        }
        let start = common.len() - shape.len();
        for place in 0..shape.len() {
            let (found, size) = (common[start + place], shape[place]);
            common[start + place] = match (found, size) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(format!("{common:?} and {shape:?} do not go together")),
            };
        }
    }
    Ok(common)
}

/// The numbers of `value` as if it had `shape`, to which it broadcasts; `None` if not known or many.
pub(super) fn spread(value: &Value, shape: &[usize]) -> Option<Vec<f64>> {
    let numbers = value.numbers.as_ref()?;
    let len = shape.iter().try_fold(1usize, |total, &size| total.checked_mul(size))?;
    if len > MAX_NUMBERS {
        return None;
    }
    let start = shape.len().checked_sub(value.shape.len())?;
    let place = |mut index: usize| {
        let (mut from, mut stride) = (0, 1);
        for dim in (0..shape.len()).rev() {
            let at = index % shape[dim];
            index /= shape[dim];
            if dim >= start {
                let size = value.shape[dim - start];
                from += if size == 1 { 0 } else { at * stride };
                stride *= size;
            }
        }
        from
    };
    (0..len).map(|index| numbers.get(place(index)).copied()).collect()
}

pub(super) fn unary(operator: &str, value: &Value) -> Ruled {
    let apply = |&x: &f64| match operator {
        "Ceil" => x.ceil(),
        "Floor" => x.floor(),
        "Neg" => -x,
        "Not" => f64::from(x == 0.0),
        "Sqrt" => x.sqrt(),
        _ => x,
    };
    let numbers = value.numbers.as_ref().map(|numbers| numbers.iter().map(apply).collect());
    one(Value { numbers, ..value.clone() })
}

pub(super) fn cast(value: &Value, to: Option<i64>) -> Ruled {
    let kind = kind_of(to.ok_or("the attribute to is missing")?)?;
    let convert = |&x: &f64| match kind {
        Kind::Float => x,
        Kind::Integer => x.trunc(),
        Kind::Truth => f64::from(x != 0.0),
    };
    let numbers = value.numbers.as_ref().map(|numbers| numbers.iter().map(convert).collect());
    one(Value { numbers, shape: value.shape.clone(), kind })
}

pub(super) fn broadcasting(operator: &str, inputs: &Inputs<'_>) -> Ruled {
    let all: Vec<&Value> = (0..inputs.len()).map(|i| input(inputs, i)).collect::<Ruled<_>>()?;
    let first = *all.first().ok_or("it has no input")?;
    let shape = broadcast(all.iter().map(|value| &value.shape[..]))?;
    let kind = match operator {
        "And" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Or" | "Xor" => {
            Kind::Truth
        }
        "Where" => input(inputs, 1)?.kind,
        _ => first.kind,
    };
    let spreads: Option<Vec<_>> = all.iter().map(|value| spread(value, &shape)).collect();
    let numbers = spreads.and_then(|spreads| {
        let len = spreads[0].len();
        let each = |i: usize| {
            let values: Vec<f64> = spreads.iter().map(|numbers| numbers[i]).collect();
            element(operator, &values, kind)
        };
        (0..len).map(each).collect()
    });
    one(Value { shape, kind, numbers })
}

/// One element of the result, or `None` for what sizes are not computed with.
fn element(operator: &str, values: &[f64], kind: Kind) -> Option<f64> {
    let (&a, &b) = (values.first()?, values.get(1)?);
    let truth = |is: bool| Some(f64::from(is));
    let result = match operator {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" if kind == Kind::Float => a / b,
        "Div" => (a / b).trunc(),
        "Mod" => a - b * (a / b).floor(),
        "Max" if values.len() == 2 => a.max(b),
        "Min" if values.len() == 2 => a.min(b),
        "Equal" => return truth(a == b),
        "Greater" => return truth(a > b),
        "GreaterOrEqual" => return truth(a >= b),
        "Less" => return truth(a < b),
        "LessOrEqual" => return truth(a <= b),
        "And" => return truth(a != 0.0 && b != 0.0),
        "Or" => return truth(a != 0.0 || b != 0.0),
        "Where" => return Some(if a != 0.0 { b } else { *values.get(2)? }),
        _ => return None,
    };
    // Beyond this a 64-bit float no longer holds every integer.
    (result.is_finite() && result.abs() < (1u64 << 53) as f64).then_some(result)
}

/// The axes of a reduction: from input `index`, else from the attribute; `None` for all.
pub(super) fn axes(node: &Node<'_>, inputs: &Inputs<'_>, index: usize) -> Ruled<Option<Vec<f64>>> {
    if optional(inputs, index).is_some() {
        return Ok(Some(numbers(inputs, index)?.to_vec()));
    }
    Ok(node.numbers("axes").map(|axes| axes.iter().map(|&axis| axis as f64).collect()))
}

pub(super) fn reduce(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let value = input(inputs, 0)?;
    let rank = value.shape.len();
    let is_arg = node.operator.starts_with("Arg");
    let wanted = if is_arg {
        Some(vec![node.number("axis").unwrap_or_default() as f64])
    } else {
        axes(node, inputs, 1)?.filter(|axes| !axes.is_empty())
    };
    let keeps = node.number("keepdims").unwrap_or(1) != 0;
    let mut is_reduced = vec![wanted.is_none(); rank];
    if wanted.is_none() && node.number("noop_with_empty_axes").unwrap_or_default() != 0 {
        is_reduced = vec![false; rank];
    }
    for wanted in wanted.into_iter().flatten() {
        is_reduced[axis(wanted, rank)?] = true;
    }
    let mut shape = Vec::new();
    for (&size, &is_reduced) in value.shape.iter().zip(&is_reduced) {
        match (is_reduced, keeps) {
            (false, _) => shape.push(size),
            (true, true) => shape.push(1),
            (true, false) => {}
        }
    }
    let all = is_reduced.iter().all(|&is| is);
    let folded = value.numbers.as_ref().filter(|_| all).and_then(|numbers| match node.operator {
        "ReduceProd" => Some(vec![numbers.iter().product()]),
        "ReduceSum" => Some(vec![numbers.iter().sum()]),
        "ReduceMax" => numbers.iter().copied().reduce(f64::max).map(|most| vec![most]),
        "ReduceMin" => numbers.iter().copied().reduce(f64::min).map(|least| vec![least]),
        _ => None,
    });
    let kind = if is_arg { Kind::Integer } else { value.kind };
    Ok(Outcome { values: vec![Value { shape, kind, numbers: folded }], work: value.len() })
}
