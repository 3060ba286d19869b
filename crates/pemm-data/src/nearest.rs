//! "Did you mean": the known name that is nearest to a mistyped one.

/// Longest name that is compared, in characters; longer ones are no typing mistakes.
const MAX_LENGTH: usize = 200;

/// The known name with the smallest edit distance to `wrong` (the first of equals), if that is at
/// most a third of its length and 1 at least; else the first that begins with it, from three letters
/// on. Letters count as equal in either case.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: String = wrong.chars().take(MAX_LENGTH + 1).flat_map(char::to_lowercase).collect();
    let length = wrong.chars().count();
    if length > MAX_LENGTH {
        return None;
    }
    let mut best = (length / 3).max(1) + 1;
    let (mut found, mut longer) = (None, None);
    for name in known {
        if name.len() > 4 * MAX_LENGTH {
            continue;
        }
        let letters = name.to_lowercase();
        if length >= 3 && letters.starts_with(&wrong) {
            longer = longer.or(Some(name));
        }
        if letters.chars().count().abs_diff(length) >= best {
            continue;
        }
        let distance = strsim::levenshtein(&wrong, &letters);
        if distance < best {
            (best, found) = (distance, Some(name));
        }
    }
    found.or(longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["airplane", "automobile", "digits"];
        assert_eq!(nearest("digit", known), Some("digits"));
        assert_eq!(nearest("Airplain", known), Some("airplane"));
        assert_eq!(nearest("auto", known), Some("automobile"));
        assert_eq!(nearest("au", known), None);
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
