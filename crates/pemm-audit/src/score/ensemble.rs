//! The mean rank under several scores.

/// Mean place of each sample under every score, as a share, in 0 to 1; equal values share their places.
///
/// # Fails
/// One bad score spoils it: it is here for comparison, and its members all have to be worth having.
///
/// # Reference
/// Borda counts.
pub fn ensemble(scores: &[&[f32]]) -> Vec<f32> {
    let Some(n) = scores.first().map(|scores| scores.len()) else { return Vec::new() };
    let mut sums = vec![0.0f64; n];
    for scores in scores {
        let mut order: Vec<u32> = (0..n as u32).collect();
        let score = |sample: u32| scores[sample as usize];
        order.sort_unstable_by(|&a, &b| score(a).total_cmp(&score(b)).then(a.cmp(&b)));
        for group in order.chunk_by(|&a, &b| score(a) == score(b)) {
            let first = order.partition_point(|&a| score(a) < score(group[0]));
            let place = first as f64 + 0.5 * (group.len() - 1) as f64;
            group.iter().for_each(|&sample| sums[sample as usize] += place);
        }
    }
    let most = (scores.len() * (n - 1).max(1)) as f64;
    sums.iter().map(|sum| (sum / most) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_averaged_and_equals_share() {
        assert_eq!(ensemble(&[&[0.1, 0.9, 0.5], &[0.3, 0.3, 0.9]]), [0.125, 0.625, 0.75]);
        assert_eq!(ensemble(&[&[7.0]]), [0.0]);
        assert!(ensemble(&[]).is_empty());
    }
}
