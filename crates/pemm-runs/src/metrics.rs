//! The numbers of the epochs under plain names, for programs that draw them: a CSV, and through
//! [`tensorboard`](crate::tensorboard) event files.

use crate::epoch::EpochRecord;

/// The numbers of an epoch that are known, each with its name. A name is the key in `log.jsonl`, below a
/// table after a slash: `loss`, `terms/energy`, `scored/test_accuracy`.
pub fn scalars(epoch: &EpochRecord) -> Vec<(String, f64)> {
    let count = |count: Option<usize>| count.map(|count| count as f64);
    let plain = |name: &str, value: Option<f64>| Some((name.to_owned(), value?));
    let scored = epoch.scored.unwrap_or_default();
    let centers = epoch.centers;
    let head = [
        plain("loss", Some(epoch.loss)),
        plain("train_accuracy_given", Some(epoch.train_accuracy_given)),
        plain("val_accuracy_given", epoch.val_accuracy_given),
        plain("learning_rate", Some(epoch.learning_rate)),
        plain("mean_max_softmax", Some(epoch.mean_max_softmax)),
        plain("mean_prediction_entropy", Some(epoch.mean_prediction_entropy)),
        plain("images_per_sec", Some(epoch.images_per_sec)),
        plain("seconds", Some(epoch.seconds)),
        plain("cpu_seconds", epoch.cpu_seconds),
    ];
    let terms = epoch.terms.iter().map(|(name, &value)| Some((format!("terms/{name}"), value)));
    let tail = [
        plain("centers/min_distance", centers.map(|centers| centers.min_distance)),
        plain("centers/mean_distance", centers.map(|centers| centers.mean_distance)),
        plain("centers/max_distance", centers.map(|centers| centers.max_distance)),
        plain("centers/sum_with_origin", centers.map(|centers| centers.sum_with_origin)),
        plain("centers/energy", centers.map(|centers| centers.energy)),
        plain("scored/test_accuracy", scored.test_accuracy),
        plain("scored/test_balanced_accuracy", scored.test_balanced_accuracy),
        plain("scored/clean_fitted", count(scored.clean_fitted)),
        plain("scored/num_clean", count(scored.num_clean)),
        plain("scored/flipped_fitted", count(scored.flipped_fitted)),
        plain("scored/flipped_corrected", count(scored.flipped_corrected)),
        plain("scored/num_flipped", count(scored.num_flipped)),
    ];
    head.into_iter().chain(terms).chain(tail).flatten().collect()
}

/// A line per epoch and a column per number, in the order of [`scalars`]; empty where it is unknown.
pub fn csv(epochs: &[EpochRecord]) -> String {
    let rows: Vec<Vec<(String, f64)>> = epochs.iter().map(scalars).collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut line = |first: String, rest: Vec<String>| {
        writer.write_record(std::iter::once(first).chain(rest)).expect("memory does not fail");
    };
    line("epoch".into(), names.iter().map(|name| (*name).to_owned()).collect());
    for (epoch, row) in epochs.iter().zip(&rows) {
        let cell = |name: &&str| {
            let value = row.iter().find(|(other, _)| other == name);
            value.map_or(String::new(), |(_, value)| value.to_string())
        };
        line(epoch.epoch.to_string(), names.iter().map(cell).collect());
    }
    let bytes = writer.into_inner().expect("memory does not fail");
    String::from_utf8(bytes).expect("names and numbers are text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::Scored;
    use crate::epoch::tests::epoch;

    #[test]
    fn what_is_unknown_in_one_epoch_is_an_empty_cell() {
        let mut epochs = [epoch(1, Some(0.25), None), epoch(2, None, None)];
        epochs[1].scored = Some(Scored { test_accuracy: Some(0.5), ..Scored::default() });
        epochs[1].loss = f64::NAN;
        assert_eq!(
            csv(&epochs),
            "epoch,loss,train_accuracy_given,val_accuracy_given,learning_rate,mean_max_softmax,\
             mean_prediction_entropy,images_per_sec,seconds,cpu_seconds,terms/energy,terms/sce,\
             scored/test_accuracy\n\
             1,1.5,0.5,0.25,0.1,0.4,1.2,1000,2.5,4,0.5,1,\n\
             2,NaN,0.5,,0.1,0.4,1.2,1000,2.5,4,0.5,1,0.5\n"
        );
        assert_eq!(csv(&[]), "epoch\n");
    }
}
