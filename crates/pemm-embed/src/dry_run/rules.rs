//! Which rule goes with which operator. An operator that is not here is refused by name.

use super::{Kind, Outcome, Value, arithmetic, layout, products, windows};
use crate::graph::{Node, data_type};

/// Inputs of a node; `None` where one is left out.
pub(super) type Inputs<'a> = [Option<&'a Value>];
pub(super) type Ruled<T = Outcome> = Result<T, String>;

/// Input `index`, which must be there.
pub(super) fn input<'a>(inputs: &Inputs<'a>, index: usize) -> Ruled<&'a Value> {
    let there = inputs.get(index).copied().flatten();
    there.ok_or_else(|| format!("input {index} is missing"))
}

/// Input `index` or nothing.
pub(super) fn optional<'a>(inputs: &Inputs<'a>, index: usize) -> Option<&'a Value> {
    inputs.get(index).copied().flatten()
}

/// The numbers of input `index`, which must follow from the shapes.
pub(super) fn numbers<'a>(inputs: &Inputs<'a>, index: usize) -> Ruled<&'a [f64]> {
    let value = input(inputs, index)?;
    value.numbers.as_deref().ok_or_else(|| format!("input {index} depends on the pixels"))
}

/// A dimension counted from the end if it is negative; `rank` is one too many.
pub(super) fn axis(axis: f64, rank: usize) -> Ruled<usize> {
    let from_start = if axis < 0.0 { axis + rank as f64 } else { axis };
    if from_start >= 0.0 && from_start < rank as f64 {
        Ok(from_start as usize)
    } else {
        Err(format!("axis {axis} of {rank} dimensions"))
    }
}

/// One value, at one step for each of its elements.
pub(super) fn one(value: Value) -> Ruled {
    let work = value.len();
    Ok(Outcome { values: vec![value], work })
}

/// The same shape and kind, new numbers.
fn like(value: &Value) -> Ruled {
    one(Value::of(value.shape.clone(), value.kind))
}

/// What `node` makes of its inputs, or `None` for an operator without a rule.
pub(super) fn apply(node: &Node<'_>, inputs: &Inputs<'_>, opset: i64) -> Option<Ruled> {
    let first = || input(inputs, 0);
    Some(match node.operator {
        "Abs"
        | "Acos"
        | "Acosh"
        | "Asin"
        | "Asinh"
        | "Atan"
        | "Atanh"
        | "BatchNormalization"
        | "Clip"
        | "Cos"
        | "Cosh"
        | "CumSum"
        | "Elu"
        | "Erf"
        | "Exp"
        | "Gelu"
        | "HardSigmoid"
        | "HardSwish"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "LeakyRelu"
        | "Log"
        | "LogSoftmax"
        | "LpNormalization"
        | "PRelu"
        | "RMSNormalization"
        | "Reciprocal"
        | "Relu"
        | "Round"
        | "ScatterElements"
        | "ScatterND"
        | "Sigmoid"
        | "Sign"
        | "Sin"
        | "Sinh"
        | "Softmax"
        | "Softplus"
        | "Softsign"
        | "Swish"
        | "Tan"
        | "Tanh"
        | "Trilu" => first().and_then(like),
        "Ceil" | "Floor" | "Identity" | "Neg" | "Not" | "Sqrt" => {
            first().and_then(|value| arithmetic::unary(node.operator, value))
        }
        "IsInf" | "IsNaN" => {
            first().and_then(|value| one(Value::of(value.shape.clone(), Kind::Truth)))
        }
        "Cast" => first().and_then(|value| arithmetic::cast(value, node.number("to"))),
        "CastLike" => first().and_then(|value| {
            let kind = input(inputs, 1)?.kind;
            one(Value::of(value.shape.clone(), kind))
        }),
        "Add" | "And" | "Div" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
        | "Max" | "Mean" | "Min" | "Mod" | "Mul" | "Or" | "Pow" | "Sub" | "Sum" | "Where"
        | "Xor" => arithmetic::broadcasting(node.operator, inputs),
        "DequantizeLinear" => first().and_then(|value| one(Value::float(value.shape.clone()))),
        "QuantizeLinear" => {
            first().and_then(|value| one(Value::of(value.shape.clone(), Kind::Integer)))
        }
        "Constant" => constant(node),
        "Conv" => windows::conv(node, inputs),
        "AveragePool" | "MaxPool" => windows::pool(node, inputs),
        "GlobalAveragePool" | "GlobalMaxPool" => windows::global_pool(inputs),
        "Resize" => windows::resize(node, inputs),
        "MatMul" => products::matmul(inputs),
        "Gemm" => products::gemm(node, inputs),
        "Einsum" => products::einsum(node, inputs),
        "Attention" => products::attention(node, inputs),
        "ArgMax" | "ArgMin" | "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp"
        | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum"
        | "ReduceSumSquare" => arithmetic::reduce(node, inputs),
        "Concat" => layout::concat(node, inputs),
        "ConstantOfShape" => layout::constant_of_shape(node, inputs),
        "DepthToSpace" => layout::depth_to_space(node, inputs),
        "Expand" => layout::expand(inputs),
        "Flatten" => layout::flatten(node, inputs),
        "Gather" => layout::gather(node, inputs),
        "GatherElements" => layout::gather_elements(inputs),
        "GatherND" => layout::gather_nd(node, inputs),
        "Pad" => layout::pad(node, inputs),
        "Range" => layout::range(inputs),
        "Reshape" => layout::reshape(node, inputs),
        "Shape" => layout::shape(node, inputs),
        "Size" => first().map(|value| Outcome {
            values: vec![Value::integers(vec![value.len() as f64], true)],
            work: 1,
        }),
        "Slice" => layout::slice(node, inputs),
        "Split" => layout::split(node, inputs),
        "Squeeze" => layout::squeeze(node, inputs, opset),
        "Tile" => layout::tile(inputs),
        "Transpose" => layout::transpose(node, inputs),
        "Unsqueeze" => layout::unsqueeze(node, inputs),
        _ => return None,
    })
}

/// A constant that is written as a node.
fn constant(node: &Node<'_>) -> Ruled {
    let number = |name| node.attributes.get(name);
    let value = if let Some(tensor) = number("value").and_then(|value| value.tensor.as_ref()) {
        Value::of_tensor(tensor)
    } else if let Some(value) = node.number("value_int") {
        Value::integers(vec![value as f64], true)
    } else if let Some(values) = node.numbers("value_ints") {
        Value::integers(values.iter().map(|&value| value as f64).collect(), false)
    } else if let Some(value) = number("value_float").and_then(|value| value.float) {
        let numbers = Some(vec![f64::from(value)]);
        Value { shape: Vec::new(), kind: Kind::Float, numbers }
    } else if let Some(values) = number("value_floats") {
        let numbers = values.floats.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        Value { shape: vec![numbers.len()], kind: Kind::Float, numbers: Some(numbers) }
    } else {
        return Err("it holds no numbers".into());
    };
    Ok(Outcome { values: vec![value], work: 0 })
}

/// The kind of ONNX's data type `to`.
pub(super) fn kind_of(to: i64) -> Ruled<Kind> {
    match i32::try_from(to).unwrap_or_default() {
        data_type::FLOAT | data_type::FLOAT16 | data_type::DOUBLE => Ok(Kind::Float),
        data_type::INT32 | data_type::INT64 | data_type::INT8 | data_type::UINT8 => {
            Ok(Kind::Integer)
        }
        data_type::BOOL => Ok(Kind::Truth),
        _ => Err(format!("data type {to} is not supported")),
    }
}
