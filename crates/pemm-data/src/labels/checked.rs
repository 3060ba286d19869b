//! Samples that somebody looked at, to see how many labels are wrong.

use std::path::Path;

use super::trusted::{RightLabel, check_ids, right_labels, twice};
use super::{ClassNames, nearest};
use crate::source::names::Finder;
use crate::{DataError, Result};

/// The right label of each sample of `names` that the file lists with one; labels may be blank: nobody
/// looked at these yet.
///
/// The file has a header, a column `path` or `index`, and a column `label` with class names or, as in a
/// labels file, ids; other columns are ignored. `given` is what the samples are given, `[N]`.
///
/// # Errors
/// With file and line: a sample that is none of `names`, or listed twice; a label that is no class.
/// Missing columns; no label at all; ids that count from 1.
pub fn checked(
    path: &Path,
    classes: &[String],
    names: &[String],
    given: &[u32],
) -> Result<Vec<Option<u32>>> {
    let by_name = ClassNames::new(classes);
    let samples = Finder::new(names.iter().map(String::as_str));
    let mut found: Vec<Option<u32>> = vec![None; names.len()];
    let mut lines = vec![0; names.len()];
    for RightLabel { line, sample: written, label } in right_labels(path)? {
        let wrong = |reason: String| DataError::format(path, format!("line {line}: {reason}"));
        let written = written.trim();
        let sample = samples.find(written).ok_or_else(|| {
            let near = nearest(written, names.iter().map(String::as_str));
            let near = near.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
            wrong(format!("{written:?} is none of the samples that are audited{near}"))
        })? as usize;
        if lines[sample] > 0 {
            return Err(wrong(twice(written, lines[sample])));
        }
        lines[sample] = line;
        if !label.trim().is_empty() {
            let class = by_name.id(&label);
            let class = class.map_err(|reason| wrong(format!("column \"label\": {reason}")))?;
            found[sample] = Some(class);
        }
    }
    if found.iter().all(Option::is_none) {
        let reason = "no sample has a label yet; write the right one into the column `label`";
        return Err(DataError::format(path, reason));
    }
    if by_name.by_id.get() {
        check_ids(&found, given).map_err(|reason| DataError::format(path, reason))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Option<u32>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checked.csv");
        std::fs::write(&path, text).unwrap();
        let strings =
            |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let names = strings(&["a/1.png", "a/2.png", "b/1.png"]);
        checked(&path, &strings(&["a", "b"]), &names, &[0, 0, 1])
    }

    #[test]
    fn blanks_are_not_looked_at_yet_and_mistakes_are_named() {
        let some = read("path,given,label\na/2.png,a,b\nb/1.png,b,\n").unwrap();
        assert_eq!(some, [None, Some(1), None]);
        for (text, reason) in [
            ("path,label\na/2.png,\n", "no sample has a label yet"),
            ("path,label\na/3.png,a\n", "none of the samples that are audited; did you mean"),
            ("path,label\na/1.png,\na/1.png,a\n", "listed a second time, first in line 2"),
            (
                "path,label\na/1.png,aa\n",
                "line 2: column \"label\": \"aa\" is none of the 2 classes",
            ),
            ("path,right\na/1.png,a\n", "no column label"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
