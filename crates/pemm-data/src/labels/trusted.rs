//! Samples whose label is known to be right: those that a column of the labels file marks, or those of
//! a file of their own.
//!
//! A file of their own (`data.trusted`) has a header, a column `path` or `index` as a labels file has,
//! and a column `label` with the right label, which takes the place of the given one: somebody looked
//! at these samples. It lists none but them. Labels are read as in a labels file.

use std::path::Path;

use super::{ClassNames, Meant, Samples, missing, position};
use crate::config::DataConfig;
use crate::source::table::Table;
use crate::{DataError, DataSet, Result, Trusted};

/// Where a label that is said to be right is not the clean one.
pub(super) const CONTRADICTION: &str =
    "the sample is trusted, and its label is not that of the column `clean`; one of them is wrong";

/// Notes in [`DataSet::trusted`] which training samples of `set` the file of `config` lists, with their
/// labels as given.
pub(super) fn join(set: &mut DataSet, config: &DataConfig) -> Result<()> {
    let Some(path) = &config.trusted else { return Ok(()) };
    let refuse = |reason: String| Err(DataError::setting("data.trusted", reason));
    if set.trusted.is_some() {
        let reason = "the labels file has a column `trusted` already; leave one of both out";
        return refuse(reason.into());
    }
    if !path.exists() {
        return refuse(missing(path));
    }
    let labels = read(path, set)?;
    if labels.iter().all(Option::is_none) {
        let reason =
            "lists no sample; name those whose label is known to be right, or leave the file out";
        return Err(DataError::format(path, reason));
    }
    let before = set.train.given.clone();
    for (given, label) in set.train.given.iter_mut().zip(&labels) {
        *given = label.unwrap_or(*given);
    }
    set.trusted = Some(Trusted { marks: labels.iter().map(Option::is_some).collect(), before });
    Ok(())
}

/// What the column `trusted` of a labels file says.
pub(super) fn mark(field: &str) -> Result<bool, String> {
    match field {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!(
            "column \"trusted\": {field:?} is neither 1 (the label is known to be right) nor 0"
        )),
    }
}

/// The right label of each training sample that the file lists.
fn read(path: &Path, set: &DataSet) -> Result<Vec<Option<u32>>> {
    let classes = ClassNames::new(&set.classes);
    let samples = Samples::of(set);
    let mut found: Vec<Option<(u64, u32)>> = vec![None; set.train.len()];
    for RightLabel { line, sample: written, label } in right_labels(path)? {
        let wrong = |reason: String| DataError::format(path, format!("line {line}: {reason}"));
        let sample = match samples.find(&written).map_err(wrong)? {
            Meant::Training(sample) => sample,
            Meant::LeftOut => continue,
            Meant::Elsewhere(part, _) => {
                let written = written.trim();
                return Err(wrong(format!("{written:?} is in the {part} part, which needs none")));
            }
        };
        let class = classes.id(&label);
        let class = class.map_err(|reason| wrong(format!("column \"label\": {reason}")))?;
        if set.clean.as_ref().is_some_and(|clean| clean[sample] != class) {
            return Err(wrong(CONTRADICTION.into()));
        }
        if let Some((first, _)) = found[sample].replace((line, class)) {
            return Err(wrong(twice(set.train.name(sample), first)));
        }
    }
    let found: Vec<Option<u32>> =
        found.into_iter().map(|row| row.map(|(_, class)| class)).collect();
    if classes.by_id.get() {
        check_ids(&found, &set.train.given).map_err(|reason| DataError::format(path, reason))?;
    }
    Ok(found)
}

/// A line of a file of right labels, as it is written.
pub(super) struct RightLabel {
    pub(super) line: u64,
    pub(super) sample: String,
    pub(super) label: String,
}

/// The lines of a file of right labels: columns `path` or `index`, and `label`.
pub(super) fn right_labels(path: &Path) -> Result<Vec<RightLabel>> {
    let mut table = Table::open(path, csv::Trim::Headers)?;
    let columns = table.columns()?;
    let position = |name: &str| position(&columns, name);
    let lacks = |what: &str| {
        let found = columns.join(", ");
        DataError::format(path, format!("line 1: there is no column {what}; found: {found}"))
    };
    let name = position("path").or_else(|| position("index"));
    let name = name.ok_or_else(|| lacks("path or index, which says which sample is meant"))?;
    let label = position("label").ok_or_else(|| lacks("label, which holds the right label"))?;
    let mut lines = Vec::new();
    while let Some((line, row)) = table.next_row()? {
        lines.push(RightLabel { line, sample: row[name].into(), label: row[label].into() });
    }
    Ok(lines)
}

/// Of a sample that a line names which `first` named before.
pub(super) fn twice(name: &str, first: u64) -> String {
    format!("{name:?} is listed a second time, first in line {first}")
}

/// Refuses class ids that count from 1, which a few rows may not show by their size: none is 0, and the
/// given labels agree better with what is one less.
pub(super) fn check_ids(right: &[Option<u32>], given: &[u32]) -> Result<(), String> {
    let agreeing = |less: u32| {
        let agrees = |(right, given): (&Option<u32>, &u32)| {
            right.is_some_and(|right| right.checked_sub(less) == Some(*given))
        };
        right.iter().zip(given).filter(|pair| agrees(*pair)).count()
    };
    if right.contains(&Some(0)) || agreeing(1) <= agreeing(0) {
        return Ok(());
    }
    Err(format!(
        "no label is 0, {} agree with the given ones as they are and {} if they count from 1; ids count \
         from 0, or write the names of the classes",
        agreeing(0),
        agreeing(1)
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{join_text, set};
    use super::*;
    use crate::config::Unlisted;

    fn trust(set: &mut DataSet, text: &str) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("right.csv");
        fs::write(&file, text).unwrap();
        join(set, &DataConfig { trusted: Some(file), ..DataConfig::default() })
    }

    #[test]
    fn a_file_of_their_own_gives_the_right_labels() {
        let mut set = set(&["cat", "dog"]);
        set.clean = None;
        trust(&mut set, "label,path,who\ndog,train/cat/2.jpg,me\n").unwrap();
        let trusted = set.trusted.unwrap();
        assert_eq!((trusted.count(), &trusted.marks[..]), (1, &[false, true, false][..]));
        assert_eq!(trusted.before, [0, 0, 1], "what it was called is not forgotten");
        assert_eq!(set.train.given, [0, 1, 1], "the right label is the given one from now on");
    }

    #[test]
    fn a_column_of_the_labels_file_marks_them() {
        let text = "path,label,trusted\ntrain/cat/1.jpg,cat,0\ntrain/cat/2.jpg,dog, 1 \n\
                    train/dog/1.jpg,dog,true\n";
        let mut marked = set(&["cat", "dog"]);
        join_text(&mut marked, text, Unlisted::Error).unwrap();
        let before = vec![0, 1, 1];
        assert_eq!(marked.trusted, Some(Trusted { marks: vec![false, true, true], before }));
        assert_eq!(marked.train.given, [0, 1, 1]);
        // Twice over is refused.
        let error = trust(&mut marked, "path,label\ntrain/cat/1.jpg,cat\n").unwrap_err();
        assert!(error.to_string().contains("leave one of both out"), "{error}");
        // Samples that are dropped take their mark with them.
        let dropped = text.replace("train/cat/1.jpg,cat,0\n", "");
        let mut marked = set(&["cat", "dog"]);
        join_text(&mut marked, &dropped, Unlisted::Drop).unwrap();
        let before = vec![1, 1];
        assert_eq!(marked.trusted, Some(Trusted { marks: vec![true, true], before }));
        let wrong = text.replace("true", "yes");
        let error = join_text(&mut set(&["cat", "dog"]), &wrong, Unlisted::Error).unwrap_err();
        assert!(error.to_string().contains("line 4: column \"trusted\": \"yes\""), "{error}");
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_line() {
        for (text, expected) in [
            ("path,label\n", "lists no sample; name those"),
            ("", "there is no column path or index"),
            ("file,label\na,cat\n", "line 1: there is no column path or index"),
            ("path,class\ntrain/cat/1.jpg,cat\n", "there is no column label, which holds"),
            ("path,label\ntrain/cat/7.jpg,cat\n", "line 2: \"train/cat/7.jpg\" is no training"),
            ("path,label\ntest/dog/9.jpg,dog\n", "is in the test part"),
            ("path,label\ntrain/cat/1.jpg,cta\n", "line 2: column \"label\": \"cta\""),
            ("path,label\ntrain/cat/1.jpg,9\n", "class id 9 is not in 0 to 1"),
            (
                "path,label\ntrain/cat/1.jpg,cat\ntrain/cat/1.jpg,cat\n",
                "line 3: \"train/cat/1.jpg\" is listed a second time, first in line 2",
            ),
            ("path,label\ntrain/cat/1.jpg,dog\n", "is not that of the column `clean`"),
            ("path,label\ntrain/cat/1.jpg\n", "line: 2"),
        ] {
            let mut set = set(&["cat", "dog"]);
            let error = trust(&mut set, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
            assert_eq!((set.trusted, &set.train.given[..]), (None, &[0, 0, 1][..]), "{text:?}");
        }
        let from_one = "path,label\ntrain/cat/1.jpg,1\ntrain/cat/2.jpg,1\n";
        let error = trust(&mut DataSet { clean: None, ..set(&["cat", "dog"]) }, from_one);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no label is 0, 0 agree") && error.contains("and 2 if"), "{error}");
        let from_zero = "path,label\ntrain/cat/1.jpg,0\ntrain/cat/2.jpg,1\n";
        trust(&mut DataSet { clean: None, ..set(&["cat", "dog"]) }, from_zero).unwrap();
        let nowhere = DataConfig { trusted: Some("none.csv".into()), ..DataConfig::default() };
        let error = join(&mut set(&["cat", "dog"]), &nowhere).unwrap_err().to_string();
        assert!(error.starts_with("data.trusted: there is no file"), "{error}");
        let text = "path,label,clean,trusted\ntrain/cat/1.jpg,dog,cat,1\ntrain/cat/2.jpg,cat,cat,0\n\
                    train/dog/1.jpg,dog,dog,0\n";
        let error = join_text(&mut set(&["cat", "dog"]), text, Unlisted::Error).unwrap_err();
        assert!(error.to_string().contains("line 2: the sample is trusted"), "{error}");
    }
}
