//! The identity of a resolved experiment, and the keys in which two experiments differ.
//!
//! An experiment is a tree of tables. Flattened, it is one line per value, named by its dotted key
//! (`loss.gce.q`); the lines in the order of their keys are what is hashed and compared, so the
//! order in which a program or a person wrote the tables never matters.

use std::collections::BTreeMap;
use std::fmt;

use pemm_data::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256, in hexadecimal, of a resolved experiment: equal exactly if all keys and values are.
pub fn identity(experiment: &Value) -> String {
    identity_of(&flatten(experiment))
}

/// The identity of flattened values.
pub fn identity_of(values: &BTreeMap<String, Value>) -> String {
    let mut hasher = Sha256::new();
    for (key, value) in values {
        hasher.update(format!("{key} = {}\n", canonical(value)));
    }
    hex(&hasher.finalize())
}

/// SHA-256, in hexadecimal, of a matrix: its rows in order, each value as 64-bit floating point,
/// little endian.
pub fn of_matrix(matrix: &[Vec<f64>]) -> String {
    let mut hasher = Sha256::new();
    matrix.iter().flatten().for_each(|value| hasher.update(value.to_le_bytes()));
    hex(&hasher.finalize())
}

/// SHA-256, in hexadecimal, of what a file holds.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The first 8 characters of a hash, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

/// All values of an experiment by dotted key; lists and empty tables count as values.
pub fn flatten(experiment: &Value) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    collect("", experiment, &mut values);
    values
}

fn collect(key: &str, value: &Value, values: &mut BTreeMap<String, Value>) {
    match value.as_object().filter(|table| !table.is_empty()) {
        Some(table) => {
            for (name, value) in table {
                let name = if is_bare(name) { name.clone() } else { format!("{name:?}") };
                let dot = if key.is_empty() { "" } else { "." };
                collect(&format!("{key}{dot}{name}"), value, values);
            }
        }
        None => {
            values.insert(key.to_string(), value.clone());
        }
    }
}

/// Whether a key needs no quotes; a dot inside a name must not read as a level.
fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-')
}

/// JSON with sorted keys, whatever map type serde_json was built with.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Object(table) => {
            let sorted: BTreeMap<&String, &Value> = table.iter().collect();
            let fields = sorted.into_iter().map(|(name, value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// Whether dotted key `key` is `name` or stands below it.
pub fn is_under(key: &str, name: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// One key in which two experiments differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted key.
    pub key: String,
    /// The first experiment's value as JSON, or nothing if it lacks the key.
    pub first: Option<String>,
    /// The second experiment's value.
    pub second: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or("(not set)".into());
        write!(formatter, "{}: {} → {}", self.key, side(&self.first), side(&self.second))
    }
}

/// The keys in which flattened experiments differ, in order.
pub fn differences(
    first: &BTreeMap<String, Value>,
    second: &BTreeMap<String, Value>,
) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    keys.into_iter()
        .filter(|key| first.get(*key) != second.get(*key))
        .map(|key| Difference {
            key: key.clone(),
            first: first.get(key).map(canonical),
            second: second.get(key).map(canonical),
        })
        .collect()
}

/// The first of `differences` as lines of an error message.
pub fn list(differences: &[Difference]) -> String {
    const SHOWN: usize = 8;
    if differences.is_empty() {
        return "  the written keys are the same; another version of pemm resolved them otherwise"
            .into();
    }
    let shown = differences.iter().take(SHOWN).map(|difference| format!("  {difference}"));
    let mut lines: Vec<String> = shown.collect();
    if differences.len() > SHOWN {
        lines.push(format!("  … and {} more", differences.len() - SHOWN));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_does_not_matter_and_values_do() {
        let parse = |text| serde_json::from_str::<Value>(text).unwrap();
        let first = parse(r#"{"seed": 1, "loss": {"gce": {"q": 0.7}}}"#);
        assert_eq!(
            identity(&first),
            identity(&parse(r#"{"loss": {"gce": {"q": 0.7}}, "seed": 1}"#))
        );
        for other in [
            r#"{"seed": 2, "loss": {"gce": {"q": 0.7}}}"#,
            r#"{"seed": 1, "loss": {"gce.q": 0.7}}"#,
            r#"{"seed": 1, "loss": {"gce": {"q": 0.7}}, "extra": {}}"#,
        ] {
            assert_ne!(identity(&first), identity(&parse(other)), "{other}");
        }
    }

    #[test]
    fn identity_is_pinned() {
        // printf 'loss.gce.q = 0.7\nseed = 1\n' | sha256sum
        let experiment = json!({"seed": 1, "loss": {"gce": {"q": 0.7}}});
        assert_eq!(identity(&experiment), PINNED);
    }
    const PINNED: &str = "21a498566fdb0634fe07df6f374c757338b026ef8c2712ef9fa95fb48294c6b5";

    #[test]
    fn matrices_are_told_apart() {
        // python3 -c 'import struct,hashlib;print(hashlib.sha256(struct.pack("<4d",.6,.4,0,1)).hexdigest())'
        let hash = of_matrix(&[vec![0.6, 0.4], vec![0.0, 1.0]]);
        assert_eq!(hash, MATRIX);
        assert_ne!(hash, of_matrix(&[vec![0.4, 0.6], vec![0.0, 1.0]]));
    }
    const MATRIX: &str = "343855c3d1fd6540870124fd0ad2fc0ae18edfe6ed72bf1066cdf2b5a6438ff7";

    #[test]
    fn differences_are_by_dotted_key() {
        let first = json!({"seed": 1, "optim": {"lr": 0.1, "clip": null}, "steps": [1, 2]});
        let second = json!({"seed": 1, "optim": {"lr": 0.01, "decay": 0}, "steps": [1, 3]});
        let found = differences(&flatten(&first), &flatten(&second));
        let lines: Vec<String> = found.iter().map(Difference::to_string).collect();
        assert_eq!(
            lines,
            [
                "optim.clip: null → (not set)",
                "optim.decay: (not set) → 0",
                "optim.lr: 0.1 → 0.01",
                "steps: [1,2] → [1,3]",
            ]
        );
        assert!(is_under("optim.lr", "optim") && is_under("optim", "optim"));
        assert!(!is_under("optimum", "optim"));
    }
}
