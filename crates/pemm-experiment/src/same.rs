//! What two runs have in common: the one place that says which are the same run, the same but for the
//! seed, and of the same protocol.
//!
//! All answers are maps of values by dotted key, made from an experiment as records hold it, and two
//! runs are alike where their maps are. A key that is not set is the same as one that is absent.

use std::collections::BTreeMap;
use std::path::{self, Path};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::error::Result;
use crate::experiment::Experiment;
use crate::facts::DataFacts;
use crate::heads::HeadKind;
use crate::identity::{Difference, differences, flatten, identity, is_under};
use crate::kind::Kind;

/// Sections of an experiment that all arms of a column share.
const PROTOCOL: [&str; 7] =
    ["data", "noise", "pretrained", "model", "optim", "schedule", "augment"];
/// Keys that say where files lie, how much memory they may take, or which images may be left out, not
/// what is computed. (What the files of `[data]` hold is in the hash of the data.)
const WITHOUT_EFFECT: [&str; 7] = [
    "data.path",
    "data.labels",
    "data.trusted",
    "data.broken",
    "data.memory_mib",
    "model.weights",
    "pretrained.backbone",
];
/// Those of them that say where the data lie. What they are is in the hash of the data.
const PLACES: [&str; 3] = ["data.path", "data.labels", "data.trusted"];
/// Keys that the column itself stands for.
const IN_COLUMN: [&str; 2] = ["noise.kind", "noise.rate"];
/// Keys that are a name only.
const NAMES: [&str; 2] = ["arm", "preset"];

/// Keys that are part of the method that an arm stands for, not of the network that all share: the
/// head with its parameters, and what ends a run early.
static IN_METHOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let of_heads = HeadKind::parameters().into_iter().map(|p| format!("model.{}", p.key));
    let others = ["model.head", "model.unit_norm", "schedule.patience"].map(str::to_owned);
    others.into_iter().chain(of_heads).collect()
});

/// Values of an experiment by dotted key.
pub type Values = BTreeMap<String, Value>;

/// Whether `key` is one of `names` or stands below one.
pub fn is_in(key: &str, names: &[impl AsRef<str>]) -> bool {
    names.iter().any(|name| is_under(key, name.as_ref()))
}

/// What the runs of one experiment under several seeds share: all but the seed and the keys of
/// `allow`.
pub fn but_for_seed(experiment: &Value, allow: &[String]) -> Values {
    let mut values = flatten(experiment);
    values.retain(|key, value| {
        key != "seed" && !value.is_null() && !is_in(key, &WITHOUT_EFFECT) && !is_in(key, allow)
    });
    values
}

/// What the arms of a column share: data, network and recipe.
pub fn protocol(experiment: &Value, allow: &[String]) -> Values {
    let mut values = but_for_seed(experiment, allow);
    values.retain(|key, _| {
        is_in(key, &PROTOCOL) && !is_in(key, &IN_COLUMN) && !is_in(key, &IN_METHOD)
    });
    values
}

/// What the runs of a search share: the data and their noise; it may vary anything else.
pub fn searched_on(experiment: &Value, allow: &[String]) -> Values {
    let mut values = protocol(experiment, allow);
    values.retain(|key, _| is_in(key, &["data", "noise"]));
    values
}

/// What an arm stands for, whatever it is trained on: its method's parameters.
pub fn parameters(experiment: &Value, allow: &[String]) -> Values {
    let mut values = but_for_seed(experiment, allow);
    values
        .retain(|key, _| !is_in(key, &NAMES) && (!is_in(key, &PROTOCOL) || is_in(key, &IN_METHOD)));
    values
}

/// What a search may vary: all but data, noise, seed and names.
pub fn settings(experiment: &Value) -> Values {
    let mut values = but_for_seed(experiment, &[]);
    values.retain(|key, _| !is_in(key, &NAMES) && !is_in(key, &["data", "noise"]));
    values
}

/// Two of these experiments, by name, that would stand in one column of a table and that it would
/// refuse, with the keys in which they differ. To be said before they are run.
pub fn incomparable(
    experiments: &[(String, Value)],
    allow: &[String],
) -> Option<(String, String, Vec<Difference>)> {
    let mut columns: BTreeMap<String, (&String, Values)> = BTreeMap::new();
    for (name, experiment) in experiments {
        let mut protocol = protocol(experiment, allow);
        let column = ["data", "noise"].map(|section| experiment[section].to_string()).concat();
        protocol.retain(|key, _| !is_in(key, &["data", "noise"]));
        let (first, values) = columns.entry(column).or_insert((name, protocol.clone()));
        let differences = differences(values, &protocol);
        if !differences.is_empty() {
            return Some((first.clone(), name.clone(), differences));
        }
    }
    None
}

/// A resolved experiment as a record holds it, with the keys that came after the record was written:
/// each has the value that changes nothing. What this version cannot read stays as it is.
pub fn with_new_keys(experiment: &Value) -> Value {
    let read = Experiment::deserialize(experiment).ok();
    read.map_or_else(|| experiment.clone(), |experiment| experiment.value())
}

/// How an experiment differs from a run on record.
#[derive(Debug)]
pub struct Comparison {
    /// Identity of the experiment with every default filled in.
    pub identity: String,
    /// Where it differs; nowhere if it is the same run.
    pub differences: Vec<Difference>,
}

/// Holds `experiment` against the one that a record holds, for data with these facts. A record of an
/// earlier version lacks the keys that have come since; it is the same run if those have the values
/// that change nothing.
///
/// # Errors
/// Values of `experiment` that do not go with the data, and files that it names and that cannot be
/// read.
pub fn compare(experiment: &Experiment, recorded: &Value, facts: DataFacts) -> Result<Comparison> {
    let before = Experiment::deserialize(recorded).ok();
    let mut experiment = experiment.clone();
    if let Some(before) = &before {
        // Images that were left out are told by the hash of the data, not by who allowed it.
        experiment.data.broken = before.data.broken;
        // Another spelling of the same place, as `./flowers/` of `flowers`.
        let (own, theirs) = (&mut experiment.data, &before.data);
        if is_same_place(&own.path, &theirs.path) {
            own.path.clone_from(&theirs.path);
        }
        for (own, theirs) in
            [(&mut own.labels, &theirs.labels), (&mut own.trusted, &theirs.trusted)]
        {
            let text = |place: &Option<path::PathBuf>| Some(place.as_ref()?.to_str()?.to_owned());
            if let (Some(one), Some(other)) = (text(own), text(theirs))
                && is_same_place(&one, &other)
            {
                own.clone_from(theirs);
            }
        }
        experiment.pin_files_as(before)?;
    }
    let wanted = experiment.resolve(facts)?.value();
    let identity = identity(&wanted);
    if wanted == *recorded {
        return Ok(Comparison { identity, differences: Vec::new() });
    }
    let found = before.and_then(|before| before.resolve(facts).ok()).map(|plan| plan.value());
    let found = found.unwrap_or_else(|| recorded.clone());
    Ok(Comparison { identity, differences: differences(&flatten(&found), &flatten(&wanted)) })
}

/// Whether two texts name one place, however they are written. The word `digits` is no place.
pub fn is_same_place(one: &str, other: &str) -> bool {
    let is_word = |text| text == "digits";
    let whole = |text| path::absolute(Path::new(text)).ok();
    one == other
        || (!is_word(one) && !is_word(other) && whole(one).is_some_and(|w| Some(w) == whole(other)))
}

/// Whether a run differs from another in nothing but where its data lie.
pub fn only_places(differences: &[Difference]) -> bool {
    differences.iter().all(|difference| PLACES.contains(&difference.key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_runs_that_no_table_can_hold_are_found() {
        let planned = |epochs: u64, rate: f64, sigma: f64| {
            serde_json::json!({
                "noise": {"rate": rate}, "schedule": {"epochs": epochs}, "model": {"sigma": sigma},
            })
        };
        let runs = |b: Value| [("a".to_string(), planned(9, 0.4, 1.0)), ("b".to_string(), b)];
        let (first, second, keys) = incomparable(&runs(planned(5, 0.4, 2.0)), &[]).unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("a", "b"));
        assert_eq!(keys.iter().map(|d| d.key.as_str()).collect::<Vec<_>>(), ["schedule.epochs"]);
        assert!(incomparable(&runs(planned(5, 0.4, 1.0)), &["schedule".into()]).is_none());
        assert!(incomparable(&runs(planned(5, 0.2, 1.0)), &[]).is_none());
    }

    #[test]
    fn where_files_lie_and_what_is_not_set_is_no_difference() {
        let values = |path: &str, clip: Value| {
            let experiment = serde_json::json!({
                "seed": 1, "data": {"path": path, "limit": 5}, "optim": {"clip_norm": clip},
            });
            but_for_seed(&experiment, &[])
        };
        assert_eq!(values("a", Value::Null), values("/b", Value::Null));
        assert_ne!(values("a", Value::Null), values("a", 1.0.into()));
        assert!(!values("a", Value::Null).contains_key("optim.clip_norm"));
    }

    #[test]
    fn a_place_is_the_same_however_it_is_written() {
        let here = std::env::current_dir().unwrap();
        let whole = here.join("flowers");
        for other in ["flowers", "flowers/", "./flowers", ".//flowers/.", whole.to_str().unwrap()] {
            assert!(is_same_place("flowers", other) && is_same_place(other, "flowers"), "{other}");
        }
        for (one, other) in [("flowers", "blumen"), ("digits", "./digits"), ("a/..", "b/..")] {
            assert!(!is_same_place(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_parameters_of_every_head_are_of_the_method() {
        for parameter in HeadKind::parameters() {
            let experiment = serde_json::json!({"model": {(parameter.key): 1.0, "width": 8}});
            assert_eq!(protocol(&experiment, &[]).len(), 1, "the width alone");
            assert_eq!(parameters(&experiment, &[]).len(), 1, "{}", parameter.key);
        }
    }
}
