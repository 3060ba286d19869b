//! Which samples are used, and which are held out: stratified by given label, exact in number.

use crate::error::{DataError, Result};
use crate::seed::Rng;

/// Largest share that a part may hold out, so that something is left to train on.
pub const MAX_HELD_RATE: f64 = 0.9;

/// Positions of `limit` samples, the same share of each given class, ascending.
///
/// Class c with n_c of N samples gets limit·n_c/N, rounded by largest remainder (ties: lower class
/// first); a class that would get none gets one from the class with the most, as long as `limit`
/// is at least the number of classes present. A `limit` of N or more keeps everything and draws
/// nothing.
///
/// # Errors
/// `limit` is 0.
pub fn limit(given: &[u32], num_classes: usize, limit: usize, rng: &mut Rng) -> Result<Vec<usize>> {
    if limit == 0 {
        return Err(DataError::setting(
            "data.limit",
            "must be at least 1 and is 0; leave it out to use every sample",
        ));
    }
    if limit >= given.len() {
        return Ok((0..given.len()).collect());
    }
    Ok(take(given, num_classes, limit, rng).0)
}

/// Splits positions into `(kept, held)`, both ascending; `held` has round(rate·N) samples.
///
/// The counts of `kept` are those of [`limit`], so that a class that is present keeps at least one
/// sample where that is possible at all; a very small class may be missing from `held`.
/// `key` is the setting that an error names, for example `data.val_rate`.
///
/// # Errors
/// `rate` is not above 0 and at most [`MAX_HELD_RATE`], or one of the two parts would be empty.
pub fn hold_out(
    given: &[u32],
    num_classes: usize,
    rate: f64,
    key: &str,
    rng: &mut Rng,
) -> Result<(Vec<usize>, Vec<usize>)> {
    check_rate(key, rate)?;
    let num_held = (rate * given.len() as f64).round() as usize;
    if num_held == 0 || num_held >= given.len() {
        return Err(DataError::setting(
            key,
            format!(
                "{rate} of {} samples would leave a part empty; use another rate, 0 for no such part (--set \
                 {key}=0), or more samples",
                given.len()
            ),
        ));
    }
    Ok(take(given, num_classes, given.len() - num_held, rng))
}

/// Fold, from 1 to `count`, of each sample: a partition of the positions, stratified by given label.
///
/// Within a class the samples are shuffled and dealt out in turn, each class going on with the fold
/// after the last one of the class before, so that the sizes of any two folds differ by at most
/// one, in all and within each class.
///
/// # Errors
/// `count` below 2, or classes with some samples but fewer than `count`, which are all named: of
/// these some fold would have none.
pub fn folds(given: &[u32], classes: &[String], count: usize, rng: &mut Rng) -> Result<Vec<u32>> {
    if count < 2 {
        return Err(DataError::setting("data.fold", format!("needs 2 folds or more, is {count}")));
    }
    let members = members(given, classes.len());
    let few: Vec<String> = members
        .iter()
        .zip(classes)
        .filter(|(members, _)| (1..count).contains(&members.len()))
        .map(|(members, class)| format!("{class:?} ({})", members.len()))
        .collect();
    if !few.is_empty() {
        let fewest = members.iter().map(Vec::len).filter(|&len| len > 0).min().unwrap_or(0);
        let advice = if fewest >= 2 {
            format!("use {fewest} folds or fewer, or leave these classes out")
        } else {
            "no number of folds fits a class of one sample: leave these classes out, or bring more \
             samples of them"
                .into()
        };
        const SHOWN: usize = 20;
        let more = if few.len() > SHOWN { ", …" } else { "" };
        let reason = format!(
            "{} of {} classes have fewer samples than the {count} folds: {}{more}; {advice}",
            few.len(),
            members.iter().filter(|members| !members.is_empty()).count(),
            few[..few.len().min(SHOWN)].join(", ")
        );
        return Err(DataError::setting("data.fold", reason));
    }
    let mut folds = vec![0; given.len()];
    let mut dealt = 0;
    for mut class in members {
        rng.shuffle(&mut class);
        for position in class {
            folds[position] = (dealt % count) as u32 + 1;
            dealt += 1;
        }
    }
    Ok(folds)
}

/// Refuses a share that is not within 0 to [`MAX_HELD_RATE`].
pub fn check_rate(key: &str, rate: f64) -> Result<()> {
    if (0.0..=MAX_HELD_RATE).contains(&rate) {
        return Ok(());
    }
    Err(DataError::setting(key, format!("must be from 0 to {MAX_HELD_RATE}, is {rate}")))
}

/// Draws `count` of `members` without replacement, in the order of the draw.
pub(crate) fn choose(mut members: Vec<usize>, count: usize, rng: &mut Rng) -> Vec<usize> {
    rng.shuffle(&mut members);
    members.truncate(count);
    members
}

/// Positions of the samples of each class, ascending.
pub(crate) fn members(labels: &[u32], num_classes: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); num_classes];
    for (position, &label) in labels.iter().enumerate() {
        members[label as usize].push(position);
    }
    members
}

/// `total` stratified positions and the rest.
fn take(
    given: &[u32],
    num_classes: usize,
    total: usize,
    rng: &mut Rng,
) -> (Vec<usize>, Vec<usize>) {
    let members = members(given, num_classes);
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let mut is_taken = vec![false; given.len()];
    for (class, count) in members.into_iter().zip(shares(&sizes, total)) {
        for position in choose(class, count, rng) {
            is_taken[position] = true;
        }
    }
    (0..given.len()).partition(|&position| is_taken[position])
}

/// Splits `total` in proportion to `sizes` by largest remainder, at least 1 for every size above 0
/// if `total` allows it. In integers, so that no rounding of floats decides. `total` ≤ Σ sizes.
fn shares(sizes: &[usize], total: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let quota = |size: usize| size as u128 * total as u128;
    let mut shares: Vec<usize> =
        sizes.iter().map(|&size| (quota(size) / all as u128) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(quota(sizes[class]) % all as u128)); // stable
    let missing = total - shares.iter().sum::<usize>();
    for &class in &order[..missing] {
        shares[class] += 1;
    }
    if total >= sizes.iter().filter(|&&size| size > 0).count() {
        for class in 0..sizes.len() {
            if sizes[class] > 0 && shares[class] == 0 {
                let most = *shares.iter().max().expect("there is a class");
                let donor = shares.iter().position(|&share| share == most).expect("the most");
                shares[donor] -= 1;
                shares[class] = 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Rng, Stream, Streams};
    use proptest::prelude::*;

    fn rng() -> Rng {
        Streams::new(5).open(Stream::Split)
    }

    #[test]
    fn limit_is_stratified_and_a_large_one_keeps_all() {
        let given: Vec<u32> = (0..1000).map(|i| if i % 10 == 0 { 1 } else { 0 }).collect();
        let kept = limit(&given, 2, 50, &mut rng()).unwrap();
        assert_eq!(kept.iter().filter(|&&i| given[i] == 1).count(), 5);
        assert!(kept.is_sorted());
        assert_eq!(kept, limit(&given, 2, 50, &mut rng()).unwrap());
        let other = limit(&given, 2, 50, &mut Streams::new(6).open(Stream::Split)).unwrap();
        assert_ne!(kept, other);
        assert_eq!(limit(&given, 2, 5000, &mut rng()).unwrap().len(), 1000);
        assert!(limit(&given, 2, 0, &mut rng()).unwrap_err().to_string().contains("data.limit"));
    }

    #[test]
    fn folds_are_even_in_every_class_and_too_many_are_refused() {
        let classes = ["a", "b", "c", "none"].map(String::from);
        let given: Vec<u32> = (0..103).map(|i| if i < 5 { 2 } else { i % 2 }).collect();
        let folds = folds(&given, &classes, 4, &mut rng()).unwrap();
        let count = |fold: u32, class: Option<u32>| {
            let here = |&(f, g): &(&u32, &u32)| *f == fold && class.is_none_or(|c| *g == c);
            folds.iter().zip(&given).filter(here).count()
        };
        for class in [None, Some(0), Some(1), Some(2)] {
            let sizes: Vec<usize> = (1..=4).map(|fold| count(fold, class)).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        assert_eq!(folds, super::folds(&given, &classes, 4, &mut rng()).unwrap());
        let error = super::folds(&given, &classes, 6, &mut rng()).unwrap_err().to_string();
        let expected = "1 of 3 classes have fewer samples than the 6 folds: \"c\" (5); use 5 folds";
        assert!(error.contains(expected), "{error}");
        let error = super::folds(&given, &classes, 1, &mut rng()).unwrap_err().to_string();
        assert!(error.starts_with("data.fold: needs 2 folds"), "{error}");
    }

    #[test]
    fn all_small_classes_are_named_at_once_and_no_impossible_number_is_advised() {
        let classes = ["a", "b", "c", "d", "e"].map(String::from);
        let given: Vec<u32> =
            [60, 30, 4, 2, 1].iter().zip(0..).flat_map(|(&n, class)| vec![class; n]).collect();
        let error = folds(&given, &classes, 5, &mut rng()).unwrap_err().to_string();
        let expected = "3 of 5 classes have fewer samples than the 5 folds: \"c\" (4), \"d\" (2), \
                        \"e\" (1); no number of folds fits a class of one sample";
        assert!(error.contains(expected), "{error}");
        let error = folds(&given[..96], &classes, 5, &mut rng()).unwrap_err().to_string();
        assert!(error.contains("use 2 folds or fewer"), "{error}");
        assert!(folds(&given[..96], &classes, 2, &mut rng()).is_ok());
    }

    #[test]
    fn a_rare_class_keeps_a_sample() {
        assert_eq!(shares(&[1, 1, 998], 10), [1, 1, 8]);
        assert_eq!(shares(&[1, 0, 999], 1), [0, 0, 1]);
        assert_eq!(shares(&[3, 3, 3], 4), [2, 1, 1]);
    }

    #[test]
    fn impossible_rates_are_refused() {
        let given = [0, 1, 0];
        for rate in [0.0, -0.1, 0.95, f64::NAN, 0.1] {
            let error = hold_out(&given, 2, rate, "data.val_rate", &mut rng()).unwrap_err();
            assert!(error.to_string().starts_with("data.val_rate: "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_a_partition(
            given in prop::collection::vec(0u32..6, 10..200),
            rate in 0.05f64..0.9,
        ) {
            let (kept, held) = hold_out(&given, 6, rate, "data.val_rate", &mut rng()).unwrap();
            prop_assert_eq!(held.len(), (rate * given.len() as f64).round() as usize);
            prop_assert!(kept.is_sorted() && held.is_sorted());
            let mut all = [kept.clone(), held].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..given.len()).collect::<Vec<_>>());
            let all_sizes: Vec<usize> = members(&given, 6).iter().map(Vec::len).collect();
            for (class, &size) in all_sizes.iter().enumerate() {
                let num_kept = kept.iter().filter(|&&i| given[i] as usize == class).count() as f64;
                let quota = size as f64 * kept.len() as f64 / given.len() as f64;
                // Within one of the quota, except where small classes were each given a sample.
                prop_assert!((num_kept - quota).abs() < 6.0);
            }
        }

        #[test]
        fn shares_sum_and_never_exceed(
            sizes in prop::collection::vec(0usize..50, 1..20),
            share in 0.0f64..1.0,
        ) {
            let all: usize = sizes.iter().sum();
            prop_assume!(all > 0);
            let total = (share * all as f64) as usize;
            let shares = shares(&sizes, total);
            prop_assert_eq!(shares.iter().sum::<usize>(), total);
            let present = sizes.iter().filter(|&&size| size > 0).count();
            for (&share, &size) in shares.iter().zip(&sizes) {
                prop_assert!(share <= size);
                prop_assert!(share > 0 || size == 0 || total < present);
            }
        }
    }
}
