//! Columns of probabilities in another order than the labels.

use serde::Serialize;

use crate::noise_model::predicted;
use crate::samples::Samples;

/// An order of the columns that fits the labels much better than the one they came in.
///
/// The counts `C[given][predicted]` are assigned one to one so that their sum is largest (the Hungarian
/// method). It is reported where agreement rises by at least a tenth of the samples, and where most
/// samples of the classes that move are predicted at their new place: few samples fit some order always.
///
/// # Fails
/// Where nearly all labels of two classes are swapped on purpose (or by a broken export of the labels)
/// the columns are right and the labels are not: it says that the two do not fit, not which is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Permutation {
    /// Column that holds each class, `[K]`: `column[k]` is where the probabilities of class k seem to be.
    pub column: Vec<u32>,
    /// Share of the samples whose given class is the most probable one, as the columns came.
    pub agreement: f64,
    /// The same with the columns in this order.
    pub agreement_permuted: f64,
}

/// Least rise of the agreement, and least share of the samples of classes that move at their new place.
const RISE: f64 = 0.1;
const MOVED: f64 = 0.5;
/// Classes up to which the best order is sought: its time grows with the cube.
const MAX_CLASSES: usize = 1500;

/// `None` where the columns fit, or where there are more than 1,500 classes.
pub fn permutation(samples: &Samples<'_>) -> Option<Permutation> {
    let k = samples.num_classes();
    let counts = counts(samples);
    let share = |column: &[usize]| fitting(&counts, column) / samples.len() as f64;
    let agreement = share(&(0..k).collect::<Vec<_>>());
    if k > MAX_CLASSES || agreement > 1.0 - RISE {
        return None;
    }
    let column = assigned(&counts);
    let agreement_permuted = share(&column);
    let (mut of_moved, mut moved_fitting) = (0, 0);
    for (class, (row, &to)) in counts.iter().zip(&column).enumerate() {
        if to != class {
            of_moved += row.iter().sum::<u32>();
            moved_fitting += row[to];
        }
    }
    let is_sharp = agreement_permuted >= agreement + RISE
        && f64::from(moved_fitting) >= MOVED * f64::from(of_moved);
    is_sharp.then(|| Permutation {
        column: column.iter().map(|&to| to as u32).collect(),
        agreement,
        agreement_permuted,
    })
}

/// Share of the samples whose given class is the most probable one: as the columns came, and in the
/// order that makes it largest (the same where there are more than 1,500 classes).
pub fn agreements(samples: &Samples<'_>) -> [f64; 2] {
    let k = samples.num_classes();
    let counts = counts(samples);
    let share = |column: &[usize]| fitting(&counts, column) / samples.len() as f64;
    let came = share(&(0..k).collect::<Vec<_>>());
    [came, if k > MAX_CLASSES { came } else { share(&assigned(&counts)) }]
}

/// `C[given][predicted]`.
fn counts(samples: &Samples<'_>) -> Vec<Vec<u32>> {
    let k = samples.num_classes();
    let mut counts = vec![vec![0; k]; k];
    samples.rows().for_each(|(given, row)| counts[given][predicted(row)] += 1);
    counts
}

/// Samples whose class is predicted, where class k is in column `column[k]`.
fn fitting(counts: &[Vec<u32>], column: &[usize]) -> f64 {
    counts.iter().zip(column).map(|(row, &to)| f64::from(row[to])).sum()
}

/// The column of each row that makes the sum of `values` `[K][K]` largest: shortest augmenting paths
/// with potentials (Kuhn 1955, Jonker and Volgenant 1987), in time K³.
fn assigned(values: &[Vec<u32>]) -> Vec<usize> {
    let k = values.len();
    let cost = |row: usize, column: usize| -f64::from(values[row - 1][column - 1]);
    // Rows and columns count from 1; 0 is nobody.
    let (mut of_row, mut of_column) = (vec![0.0; k + 1], vec![0.0; k + 1]);
    let (mut row_at, mut way) = (vec![0usize; k + 1], vec![0usize; k + 1]);
    for row in 1..=k {
        row_at[0] = row;
        let mut column = 0;
        let (mut least, mut is_used) = (vec![f64::INFINITY; k + 1], vec![false; k + 1]);
        while row_at[column] != 0 {
            is_used[column] = true;
            let from = row_at[column];
            let (mut delta, mut next) = (f64::INFINITY, 0);
            for to in 1..=k {
                if is_used[to] {
                    continue;
                }
                let reduced = cost(from, to) - of_row[from] - of_column[to];
                if reduced < least[to] {
                    (least[to], way[to]) = (reduced, column);
                }
                if least[to] < delta {
                    (delta, next) = (least[to], to);
                }
            }
            for to in 0..=k {
                if is_used[to] {
                    of_row[row_at[to]] += delta;
                    of_column[to] -= delta;
                } else {
                    least[to] -= delta;
                }
            }
            column = next;
        }
        while column != 0 {
            row_at[column] = row_at[way[column]];
            column = way[column];
        }
    }
    let mut columns = vec![0; k];
    for column in 1..=k {
        columns[row_at[column] - 1] = column - 1;
    }
    columns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::made::{made, symmetric};
    use crate::samples::Arrays;

    fn found(num_classes: usize, given: &[u32], probabilities: &[f32]) -> Option<Permutation> {
        let arrays = Arrays { num_classes, given, probabilities, ..Arrays::default() };
        permutation(&Samples::new(arrays).unwrap())
    }

    #[test]
    fn columns_in_byte_order_are_pointed_out() {
        // Twelve classes counted 0 … 11, columns sorted as text: 0, 1, 10, 11, 2, …
        let (given, probabilities) = made(1200, &symmetric(12, 0.05));
        assert_eq!(found(12, &given, &probabilities), None);
        let mut names: Vec<String> = (0..12).map(|k| k.to_string()).collect();
        names.sort();
        let by_text: Vec<usize> = names.iter().map(|name| name.parse().unwrap()).collect();
        let permuted: Vec<f32> = probabilities
            .chunks_exact(12)
            .flat_map(|row| by_text.iter().map(|&class| row[class]))
            .collect();
        let found = found(12, &given, &permuted).unwrap();
        for (place, &class) in by_text.iter().enumerate() {
            assert_eq!(found.column[class] as usize, place);
        }
        assert!(found.agreement_permuted > 2.0 * found.agreement, "{found:?}");
    }

    #[test]
    fn models_that_know_nothing_have_no_order() {
        let given: Vec<u32> = (0..2000).map(|i| i * 7919 % 5).collect();
        let probabilities: Vec<f32> = (0..2000u32)
            .flat_map(|i| (0..5).map(move |k| if i / 5 % 5 == k { 0.6 } else { 0.1 }))
            .collect();
        assert_eq!(found(5, &given, &probabilities), None);
    }

    proptest! {
        #[test]
        fn the_assignment_is_one_to_one_and_none_of_three_is_better(
            values in prop::collection::vec(prop::collection::vec(0u32..20, 3), 3)
        ) {
            let best = assigned(&values);
            let total = |order: [usize; 3]| (0..3).map(|row| values[row][order[row]]).sum::<u32>();
            let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
            let most = orders.into_iter().map(total).max().unwrap();
            prop_assert_eq!(total([best[0], best[1], best[2]]), most);
        }
    }
}
