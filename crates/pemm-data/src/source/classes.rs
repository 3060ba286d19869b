//! Class names: their one order, and labels that become ids.
//!
//! If every name is a number the classes are in the order of the numbers, else in the order of the
//! bytes of their names. So 2 comes before 10, but c10 before c2: where counting and the order of
//! names differ, an id or a column without a name could mean either, and is asked for by name.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::names::nearly_the_same;

/// The names in the order of their class ids, each once.
pub fn class_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let distinct: BTreeSet<&str> = names.into_iter().collect();
    let mut names: Vec<String> = distinct.into_iter().map(String::from).collect();
    // Both sorts are stable: numbers of the same value stay in the order of their bytes.
    let integers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
    let number = |name: &String| name.parse().ok().filter(|value: &f64| value.is_finite());
    if integers.is_some() {
        names.sort_by_key(|name| name.parse::<i64>().ok());
    } else if names.iter().all(|name| number(name).is_some()) {
        names.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal));
    }
    names
}

/// The positions of `classes` in the order in which one counts, if that is another than theirs:
/// `c10`, `c2` are positions 0 and 1 and count as `[1, 0]`.
///
/// Numbers inside of names are compared as numbers, the text around them by its bytes.
pub fn counting_order(classes: &[String]) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by(|&a, &b| by_counting(&classes[a], &classes[b]));
    (!order.is_sorted()).then_some(order)
}

/// What to say where counting and the order of names differ.
pub(crate) fn order_note(classes: &[String]) -> Option<String> {
    let [by_name, counting] = in_two_orders(classes)?;
    Some(format!(
        "classes are in the order of their names as text ({by_name}), not of counting ({counting}): \
         give labels by name, and probabilities with a header"
    ))
}

/// Why columns without names cannot be told apart, where counting and the order of names differ.
pub fn two_orders(classes: &[String]) -> Option<String> {
    let [by_name, counting] = in_two_orders(classes)?;
    Some(format!(
        "the classes could be in the order of their names as text ({by_name}) or of counting \
         ({counting})"
    ))
}

/// The first names in the order of text and in that of counting, if these differ: enough of them to
/// see where.
fn in_two_orders(classes: &[String]) -> Option<[String; 2]> {
    let counting = counting_order(classes)?;
    let differ = (0..classes.len()).find(|&at| counting[at] != at).expect("the orders differ");
    let num_shown = (differ + 1).clamp(4, 12);
    let first = |order: &mut dyn Iterator<Item = usize>| {
        let mut names: Vec<&str> = order.take(num_shown).map(|id| classes[id].as_str()).collect();
        if num_shown < classes.len() {
            names.push("…");
        }
        names.join(", ")
    };
    Some([first(&mut (0..classes.len())), first(&mut counting.iter().copied())])
}

/// What to say of classes whose names are nearly the same.
pub(crate) fn twin_notes(classes: &[String]) -> impl Iterator<Item = String> {
    nearly_the_same(classes).take(5).map(|[one, other]| {
        format!(
            "classes {one:?} and {other:?} differ only in case, blanks or zeros and count as two; if they \
             are one, move their images together"
        )
    })
}

fn by_counting(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match (digits(a), digits(b)) {
            (0, _) | (_, 0) => match (a.split_first(), b.split_first()) {
                (Some((x, rest_a)), Some((y, rest_b))) if x == y => (a, b) = (rest_a, rest_b),
                (x, y) => return x.map(|(x, _)| x).cmp(&y.map(|(y, _)| y)),
            },
            (len_a, len_b) => {
                let (number_a, rest_a) = a.split_at(len_a);
                let (number_b, rest_b) = b.split_at(len_b);
                // Without zeros in front the longer number is the larger, however long.
                let plain = |number: &'_ [u8]| {
                    let zeros = number.iter().take_while(|&&digit| digit == b'0').count();
                    number[zeros..].to_vec()
                };
                let (x, y) = (plain(number_a), plain(number_b));
                match x.len().cmp(&y.len()).then(x.cmp(&y)) {
                    Ordering::Equal => (a, b) = (rest_a, rest_b),
                    other => return other,
                }
            }
        }
    }
}

/// The integer that a label like `3.0` or `+3` means, written plainly; spreadsheets and pandas
/// write integers so once one cell is empty.
pub(crate) fn plain_integer(label: &str) -> Option<String> {
    let plain = label.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    let value: f64 = label.parse().ok().filter(|_| plain)?;
    // Up to 2⁵³ every integer is a 64-bit float.
    (value.fract() == 0.0 && value.abs() < 9e15).then(|| (value as i64).to_string())
}

/// The label without what a table program added: `3` for `3.0`. Zeros in front stay, since they may be
/// part of a name.
pub(crate) fn as_meant(label: &str) -> String {
    let plain = label.contains(['.', '+']).then(|| plain_integer(label)).flatten();
    plain.unwrap_or_else(|| label.into())
}

/// Class names and their ids.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) names: Vec<String>,
    ids: BTreeMap<String, u32>,
}

impl Classes {
    /// The classes that occur in the training labels.
    pub(super) fn of<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let names = class_order(labels);
        let ids = names.iter().cloned().zip(0..).collect();
        Self { names, ids }
    }

    /// The id of a label, or what is wrong with it.
    pub(super) fn id(&self, label: &str) -> Result<u32, String> {
        self.ids.get(label).copied().ok_or_else(|| {
            let known = first(&self.names);
            format!("label {label:?} is no class of the training part, which has {known}")
        })
    }
}

/// The first names, for a message.
pub(crate) fn first(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_numbers_and_names_as_names() {
        assert_eq!(class_order(["10", "9", "10", "-1"]), ["-1", "9", "10"]);
        assert_eq!(class_order(["10.0", "9.0", "0.5"]), ["0.5", "9.0", "10.0"]);
        assert_eq!(class_order(["10", "9", "b"]), ["10", "9", "b"]);
        assert_eq!(class_order(["10", "9", "nan"]), ["10", "9", "nan"]);
        assert_eq!(class_order(["1", "01", "0"]), ["0", "01", "1"]);
    }

    #[test]
    fn counting_is_told_where_it_differs() {
        let of = |names: &[&str]| counting_order(&class_order(names.iter().copied()));
        let numbers: Vec<String> = (0..12).map(|id| id.to_string()).collect();
        assert_eq!(of(&numbers.iter().map(String::as_str).collect::<Vec<_>>()), None);
        assert_eq!(of(&["c0", "c1", "c2", "c10"]), Some(vec![0, 1, 3, 2]));
        assert_eq!(of(&["class 1", "class 9", "class 10"]), Some(vec![0, 2, 1]));
        assert_eq!(of(&["c00", "c01", "c02", "c10"]), None);
        assert_eq!(of(&["a1b2", "a1b10", "a01b3"]).map(|order| order.len()), Some(3));
        assert_eq!(of(&["cat", "dog", "airplane"]), None);
        let long = "9".repeat(5000);
        assert_eq!(of(&[&format!("x1{long}"), &format!("x2{}", &long[1..])]), Some(vec![1, 0]));
        let note = order_note(&class_order(["c0", "c1", "c2", "c10"])).unwrap();
        assert!(note.contains("(c0, c1, c10, c2), not of counting (c0, c1, c2, c10)"), "{note}");
        let late = class_order(["a", "b", "c", "d", "e", "x1", "x2", "x10", "y"]);
        let orders = two_orders(&late).unwrap();
        assert!(orders.contains("(a, b, c, d, e, x1, x10, …)"), "it shows where: {orders}");
        assert_eq!(two_orders(&class_order(["cat", "dog"])), None);
    }

    #[test]
    fn floats_of_integers_are_integers() {
        let meant = ["3.0", "03", "+3", "3.5", "v1.0"].map(as_meant);
        assert_eq!(meant, ["3", "03", "3", "3.5", "v1.0"]);
        for (label, plain) in
            [("3.0", "3"), ("+3", "3"), ("007", "7"), ("-1.00", "-1"), ("3.", "3")]
        {
            assert_eq!(plain_integer(label).as_deref(), Some(plain));
        }
        for label in ["3.5", "nan", "1e3", "inf", "three", "", "-", "1.0.0", "99999999999999999999"]
        {
            assert_eq!(plain_integer(label), None, "{label}");
        }
    }
}
