//! The commit that this binary was built from.

/// The commit, and whether its tree was dirty.
pub(crate) fn commit() -> Option<(String, bool)> {
    let commit = option_env!("PEMM_GIT_COMMIT")?;
    Some((commit.to_owned(), option_env!("PEMM_GIT_DIRTY") == Some("true")))
}
