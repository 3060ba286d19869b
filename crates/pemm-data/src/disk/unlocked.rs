//! A lock that ends with its value.

use std::fs::File;
use std::ops::{Deref, DerefMut};

/// A file whose lock, if it was taken, is given back when the value goes.
///
/// Closing the file would do so only once nobody has it open, and a program that another thread starts
/// at that moment inherits it for some milliseconds: who then asks would be told that the file is in
/// use, though nobody is at work.
#[derive(Debug)]
pub struct Unlocked(pub File);

impl Drop for Unlocked {
    fn drop(&mut self) {
        // Where files cannot be locked there is nothing to give back.
        let _ = self.0.unlock();
    }
}

impl Deref for Unlocked {
    type Target = File;
    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for Unlocked {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_inherited_the_file_does_not_hold_its_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ours = Unlocked(file.reopen().unwrap());
        ours.try_lock().unwrap();
        let inherited = ours.try_clone().unwrap();
        assert!(file.as_file().try_lock().is_err());
        drop(ours);
        file.as_file().try_lock().unwrap();
        drop(inherited);
    }
}
