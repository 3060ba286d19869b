//! Shapes by the rules, against what ONNX's definition says.

use super::rules::{Ruled, apply};
use super::*;
use crate::graph::Attribute;

/// A node with attributes of numbers.
fn node<'a>(operator: &'a str, attributes: &[(&'a str, &[i64])]) -> Node<'a> {
    let attribute = |(name, numbers): &(&'a str, &[i64])| {
        let number = if let [number] = numbers { Some(*number) } else { None };
        (*name, Attribute { number, numbers: numbers.to_vec(), ..Attribute::default() })
    };
    let attributes = attributes.iter().map(attribute).collect();
    Node { operator, outputs: vec!["y"], attributes, ..Node::default() }
}

fn float(shape: &[usize]) -> Value {
    Value::float(shape.to_vec())
}

fn numbers(numbers: &[f64]) -> Value {
    Value::integers(numbers.to_vec(), false)
}

fn result(node: &Node<'_>, inputs: &[&Value]) -> Ruled<Value> {
    let inputs: Vec<_> = inputs.iter().map(|&value| Some(value)).collect();
    let mut outcome = apply(node, &inputs, 18).expect("there is a rule")?;
    Ok(outcome.values.remove(0))
}

#[test]
fn windows() {
    let image = float(&[1, 8, 15, 20]);
    type Attributes<'a> = &'a [(&'a str, &'a [i64])];
    let cases: [(Attributes<'_>, [usize; 2]); 5] = [
        (&[], [13, 18]),
        (&[("strides", &[2, 2])], [7, 9]),
        (&[("pads", &[1, 1, 1, 1]), ("strides", &[2, 2])], [8, 10]),
        (&[("pads", &[2, 0, 0, 2])], [15, 20]),
        (&[("dilations", &[2, 3])], [11, 14]),
    ];
    for (attributes, [height, width]) in cases {
        let group = [attributes, &[("group", &[8][..])]].concat();
        let found = result(&node("Conv", &group), &[&image, &float(&[16, 1, 3, 3])]).unwrap();
        assert_eq!(found.shape, [1, 16, height, width], "{attributes:?}");
    }
    let pool = |ceil: i64| {
        let attributes =
            [("kernel_shape", &[2, 2][..]), ("strides", &[2, 2]), ("ceil_mode", &[ceil])];
        result(&node("MaxPool", &attributes), &[&image]).unwrap().shape
    };
    assert_eq!((pool(0), pool(1)), (vec![1, 8, 7, 10], vec![1, 8, 8, 10]));
    let wrong = result(&node("Conv", &[]), &[&image, &float(&[16, 3, 3, 3])]);
    assert!(wrong.unwrap_err().contains("8 channels in 1 groups"));
    let wrong = result(&node("Conv", &[]), &[&image, &float(&[1, 8, 16, 3])]);
    assert!(wrong.unwrap_err().contains("larger than the image"));
    let twice = [Some(&image), None, Some(&numbers(&[1.0, 1.0, 2.0, 1.5]))];
    let resized = apply(&node("Resize", &[]), &twice, 18).unwrap();
    assert_eq!(resized.unwrap_or_else(|reason| panic!("{reason}")).values[0].shape, [1, 8, 30, 30]);
}

#[test]
fn products() {
    let matmul = |a: &[usize], b: &[usize]| result(&node("MatMul", &[]), &[&float(a), &float(b)]);
    assert_eq!(matmul(&[2, 1, 3, 4], &[5, 4, 6]).unwrap().shape, [2, 5, 3, 6]);
    assert_eq!(matmul(&[4], &[4, 6]).unwrap().shape, [6]);
    assert_eq!(matmul(&[3, 4], &[4]).unwrap().shape, [3]);
    assert!(matmul(&[3, 4], &[3, 4]).is_err());
    let turned = node("Gemm", &[("transB", &[1])]);
    assert_eq!(result(&turned, &[&float(&[2, 4]), &float(&[7, 4])]).unwrap().shape, [2, 7]);
    let mut einsum = node("Einsum", &[]);
    let equation = Attribute { text: Some("bij, bkj -> bik"), ..Attribute::default() };
    einsum.attributes.insert("equation", equation);
    let found = result(&einsum, &[&float(&[2, 3, 4]), &float(&[2, 5, 4])]).unwrap();
    assert_eq!(found.shape, [2, 3, 5]);
}

#[test]
fn layout() {
    let image = float(&[2, 3, 4, 5]);
    let reshape = |to: &[f64]| result(&node("Reshape", &[]), &[&image, &numbers(to)]);
    assert_eq!(reshape(&[0.0, -1.0]).unwrap().shape, [2, 60]);
    for wrong in [&[-1.0, -1.0][..], &[7.0, -1.0], &[2.0, 3.0], &[0.5]] {
        assert!(reshape(wrong).is_err(), "{wrong:?}");
    }
    let found = result(&node("Transpose", &[("perm", &[0, 2, 3, 1])]), &[&image]).unwrap();
    assert_eq!(found.shape, [2, 4, 5, 3]);
    let whole = [numbers(&[-3.0, 1.0]), numbers(&[i64::MAX as f64, -1.0]), numbers(&[2.0, 3.0])];
    let found = result(&node("Slice", &[]), &[&image, &whole[0], &whole[1], &whole[2]]).unwrap();
    assert_eq!(found.shape, [2, 3, 3, 3]);
    let found = result(&node("Pad", &[]), &[&image, &numbers(&[0., 0., 1., 2., 0., 0., 0., 3.])]);
    assert_eq!(found.unwrap().shape, [2, 3, 5, 10]);
    let reduced = result(&node("ReduceMean", &[("axes", &[-1, -2])]), &[&image]).unwrap();
    assert_eq!(reduced.shape, [2, 3, 1, 1]);
}

#[test]
fn sizes_are_followed_through_arithmetic() {
    let shape = result(&node("Shape", &[]), &[&float(&[2, 3, 8, 6])]).unwrap();
    let at = |index: f64| {
        let index = Value::integers(vec![index], true);
        result(&node("Gather", &[]), &[&shape, &index]).unwrap()
    };
    let (height, width) = (at(2.0), at(-1.0));
    assert_eq!((height.numbers.clone(), height.shape.clone()), (Some(vec![8.0]), vec![]));
    let area = result(&node("Mul", &[]), &[&height, &width]).unwrap();
    let half = result(&node("Div", &[]), &[&area, &Value::integers(vec![5.0], true)]).unwrap();
    assert_eq!(half.numbers, Some(vec![9.0]));
    let row = result(&node("Unsqueeze", &[]), &[&half, &numbers(&[0.0])]).unwrap();
    let both = result(&node("Concat", &[("axis", &[0])]), &[&row, &numbers(&[-1.0])]).unwrap();
    assert_eq!(both.numbers, Some(vec![9.0, -1.0]));
    let is_free = result(&node("Equal", &[]), &[&both, &numbers(&[-1.0])]).unwrap();
    let ones = numbers(&[1.0, 1.0]);
    let found = result(&node("Where", &[]), &[&is_free, &ones, &both]).unwrap();
    assert_eq!((found.numbers, found.kind), (Some(vec![9.0, 1.0]), Kind::Integer));
}
