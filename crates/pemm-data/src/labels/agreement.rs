//! How new labels relate to those of the source: classes left empty, ids that count from 1, and
//! classes that were renumbered.

use std::collections::BTreeMap;

use crate::source::classes::first;

/// Share of the labels by which another numbering must agree better to be pointed out.
const SHARPLY: f64 = 0.2;

/// Counts of all pairs of an old and a new label.
#[derive(Debug)]
pub(super) struct Agreement<'a> {
    classes: &'a [String],
    /// `pairs[old][new]`, sparse: the new labels of each class and how often, in their order.
    pairs: Vec<BTreeMap<u32, usize>>,
    /// Samples of each class by the new labels.
    counts: Vec<usize>,
    num_samples: usize,
}

impl<'a> Agreement<'a> {
    /// `old` and `new` are labels of the same samples.
    pub(super) fn of(classes: &'a [String], old: &[u32], new: &[u32]) -> Self {
        let mut pairs = vec![BTreeMap::new(); classes.len()];
        let mut counts = vec![0; classes.len()];
        for (&old, &new) in old.iter().zip(new) {
            *pairs[old as usize].entry(new).or_insert(0) += 1;
            counts[new as usize] += 1;
        }
        Self { classes, pairs, counts, num_samples: new.len() }
    }

    /// Refuses ids that never are 0.
    pub(super) fn check_ids(&self) -> Result<(), String> {
        if self.counts[0] > 0 {
            return Ok(());
        }
        Err(format!(
            "no sample has the class id 0 ({:?}), and ids count from 0: if those of this file count \
             from 1 take 1 off, else write the names of the classes",
            self.classes[0]
        ))
    }

    /// Refuses labels that are all the same.
    pub(super) fn check_classes(&self) -> Result<(), String> {
        let mut present = self.classes.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        match (present.next(), present.next()) {
            (Some((class, _)), None) => Err(format!(
                "all {} samples have the label {class:?}; at least 2 classes are needed",
                self.num_samples
            )),
            _ => Ok(()),
        }
    }

    /// What a reader of the results should know.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        [self.emptied(), self.renumbered()].into_iter().flatten()
    }

    fn emptied(&self) -> Option<String> {
        let empty: Vec<String> = self
            .classes
            .iter()
            .zip(&self.counts)
            .filter(|(_, count)| **count == 0)
            .map(|(class, _)| class.clone())
            .collect();
        (!empty.is_empty()).then(|| {
            format!(
                "the labels file leaves {} of {} classes without a training sample: {}",
                empty.len(),
                self.classes.len(),
                first(&empty)
            )
        })
    }

    /// If the most frequent new label of each class is another class, and each another one, and
    /// this numbering agrees sharply better.
    fn renumbered(&self) -> Option<String> {
        let mut is_taken = vec![false; self.classes.len()];
        let mut agreeing = 0;
        let mut same = 0;
        let mut moved = Vec::new();
        for (old, new) in self.pairs.iter().enumerate() {
            // Of labels that are as frequent, the lowest.
            let most = new.iter().max_by_key(|&(&label, &count)| (count, std::cmp::Reverse(label)));
            let (&label, &count) = most?;
            if std::mem::replace(&mut is_taken[label as usize], true) {
                return None;
            }
            agreeing += count;
            same += new.get(&(old as u32)).copied().unwrap_or(0);
            if label as usize != old {
                moved.push((old, label as usize));
            }
        }
        let share = |count: usize| count as f64 / self.num_samples as f64;
        if moved.is_empty() || share(agreeing) < share(same) + SHARPLY {
            return None;
        }
        let examples: Vec<String> = moved
            .iter()
            .take(6)
            .map(|&(old, new)| format!("{} is {}", self.classes[old], self.classes[new]))
            .collect();
        let more = if moved.len() > examples.len() { ", …" } else { "" };
        Some(format!(
            "{:.1} % of the labels agree with those of the source, but {:.1} % would if classes \
             were renamed ({}{more}); are they in another order in the labels file?",
            100.0 * share(same),
            100.0 * share(agreeing),
            examples.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(old: &[u32], new: &[u32]) -> Vec<String> {
        let classes = ["lily", "rose", "tulip"].map(String::from);
        Agreement::of(&classes, old, new).notes().collect()
    }

    #[test]
    fn an_emptied_class_and_a_new_numbering_are_pointed_out() {
        let old = [0, 0, 0, 1, 1, 1, 2, 2, 2];
        assert_eq!(notes(&old, &old), [] as [String; 0]);
        let noisy = [0, 1, 0, 1, 1, 2, 2, 2, 0];
        assert_eq!(notes(&old, &noisy), [] as [String; 0]);
        let emptied = notes(&old, &[0, 0, 0, 1, 1, 1, 1, 1, 1]);
        let expected = "the labels file leaves 1 of 3 classes without a training sample: tulip";
        assert_eq!(emptied, [expected]);
        let renumbered = notes(&old, &[1, 1, 1, 2, 2, 0, 0, 0, 0]);
        assert_eq!(renumbered.len(), 1);
        let start = "0.0 % of the labels agree with those of the source, but 88.9 % would if \
                     classes were renamed (lily is rose, rose is tulip, tulip is lily)";
        assert!(renumbered[0].starts_with(start), "{renumbered:?}");
    }

    #[test]
    fn ids_from_one_and_one_class_are_refused() {
        let classes = ["lily", "rose", "tulip"].map(String::from);
        let of = |new: &[u32]| Agreement::of(&classes, &[0, 0, 1, 2], new).check_ids();
        assert!(of(&[0, 1, 1, 2]).is_ok());
        assert!(of(&[1, 1, 2, 2]).unwrap_err().contains("count from 1"));
        let one = Agreement::of(&classes, &[0, 1, 2], &[1, 1, 1]).check_classes();
        assert!(one.unwrap_err().contains("all 3 samples have the label \"rose\""));
    }
}
