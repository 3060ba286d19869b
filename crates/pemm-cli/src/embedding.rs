//! Images on their way through a pretrained backbone, as a person sees it, and where features are kept.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use pemm::data::Embedding;
use pemm_embed::Progress;

use crate::console::Console;

/// A bar that shows once the first image goes through a backbone, and the folder of the features.
pub(crate) struct Features {
    cache: Option<PathBuf>,
    bar: ProgressBar,
    cancel: Option<&'static AtomicBool>,
}

impl Features {
    /// `cancel` ends the work soon after it becomes true.
    pub(crate) fn new(console: &Console, cancel: Option<&'static AtomicBool>) -> Self {
        let bar = console.bar(0, "images");
        bar.set_prefix("features ");
        Self { cache: cache(), bar, cancel }
    }

    /// Runs `work` with what tells it how to embed, and takes the bar down.
    pub(crate) fn with<T>(&self, work: impl FnOnce(Embedding<'_>) -> T) -> T {
        let on_image = |progress: Progress| {
            self.bar.set_length(progress.total as u64);
            self.bar.set_position(progress.done as u64);
            if progress.done == progress.total {
                self.bar.reset();
            }
        };
        let embedding = Embedding {
            cache: self.cache.as_deref(),
            on_image: Some(&on_image),
            cancel: self.cancel,
        };
        let result = work(embedding);
        self.bar.finish_and_clear();
        result
    }
}

/// Where features are kept: `$PEMM_CACHE`, else `pemm` in the user's folder for caches. Without
/// either they are computed anew each time.
fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty());
    let root = folder("PEMM_CACHE").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(folder("XDG_CACHE_HOME")?).join("pemm")));
    let root = root.or_else(|| Some(PathBuf::from(folder("HOME")?).join(".cache/pemm")));
    Some(root?.join("features"))
}
