//! Features that were computed once, on disk.
//!
//! One folder for each backbone with its output and preprocessing, named by their hash; in it
//! `backbone.json` for people, and blocks of rows that are written whole (temporary file, sync,
//! rename) and never changed, so any number of processes may read and write at the same time. A row
//! is found by the hash of the image's content, so renamed files and other data sets with the same
//! images are known, and a changed image is not.
//!
//! ```text
//! block    magic "pemmrow1", rows u32, features u32, keys [rows × 32], SHA-256 of all that,
//!          then for each row: features [D × f32], first 8 bytes of SHA-256(key, features)
//! ```
//!
//! Numbers are little endian. Memory: 40 bytes a row for the index (about 80 MB for 1,000,000
//! images), nothing else. A block whose head does not fit its checksum or its length is removed
//! when the cache is opened, one with a row that does not fit its own when that row is read; what
//! was in it is computed again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::backbone::BackboneCard;
use crate::error::{EmbedError, Result};
use crate::write::{Pending, whole};
use pemm_data::hex;

const MAGIC: &[u8; 8] = b"pemmrow1";
const HEAD_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const CHECK_BYTES: usize = 8;
/// Most rows of a block that is read; those that are written have fewer.
const MAX_ROWS: u32 = 1 << 16;

/// Hash of an image's content.
pub(crate) type Key = [u8; KEY_BYTES];

/// The cache of one backbone.
#[derive(Debug)]
pub struct FeatureCache {
    folder: PathBuf,
    num_features: usize,
    blocks: Vec<PathBuf>,
    /// Block and row of each image.
    index: BTreeMap<Key, (u32, u32)>,
    /// The block that was read last, and where its rows begin.
    open: Option<(u32, File, u64)>,
    num_removed: usize,
}

impl FeatureCache {
    /// Opens or makes the cache of `card` below the folder `root`.
    ///
    /// # Errors
    /// [`EmbedError::Io`] if folder or files cannot be read, written or removed. A damaged file is
    /// no error: it is removed.
    pub fn open(root: &Path, card: &BackboneCard) -> Result<Self> {
        let folder = root.join(&cache_key(card)[..16]);
        let about = folder.join("backbone.json");
        let json =
            serde_json::to_string_pretty(card).expect("a card holds text and finite numbers");
        if !fs::read(&about).is_ok_and(|there| there == json.as_bytes()) {
            whole(&about, json.as_bytes())?;
        }
        let mut cache = Self {
            folder,
            num_features: card.num_features,
            blocks: Vec::new(),
            index: BTreeMap::new(),
            open: None,
            num_removed: 0,
        };
        let io = |error| EmbedError::io(&cache.folder, error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(&cache.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "rows") {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            cache.add(path)?;
        }
        Ok(cache)
    }

    /// Number of images whose features are there.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Damaged blocks that were found and removed so far; what was in them is computed again.
    pub fn num_removed(&self) -> usize {
        self.num_removed
    }

    /// The folder of this backbone.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn row_bytes(&self) -> usize {
        self.num_features * 4 + CHECK_BYTES
    }

    /// Takes a block into the index, or removes it if it is damaged.
    fn add(&mut self, path: PathBuf) -> Result<()> {
        match self.keys(&path).map_err(|error| EmbedError::io(&path, error))? {
            Some(keys) => {
                let block = self.blocks.len() as u32;
                for (row, key) in keys.into_iter().enumerate() {
                    self.index.insert(key, (block, row as u32));
                }
                self.blocks.push(path);
            }
            None => {
                fs::remove_file(&path).map_err(|error| EmbedError::io(&path, error))?;
                self.num_removed += 1;
            }
        }
        Ok(())
    }

    /// The keys of a block, or `None` if it is not as it was written.
    fn keys(&self, path: &Path) -> std::io::Result<Option<Vec<Key>>> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut head = Vec::new();
        file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let (Some(rows), Some(features)) = (number(8), number(12)) else { return Ok(None) };
        let keys_bytes = rows as usize * KEY_BYTES;
        let all = HEAD_BYTES + keys_bytes + 32 + rows as usize * self.row_bytes();
        let fits = head.starts_with(MAGIC)
            && rows <= MAX_ROWS
            && features as usize == self.num_features
            && all as u64 == len;
        if !fits {
            return Ok(None);
        }
        file.take((keys_bytes + 32) as u64).read_to_end(&mut head)?;
        let Some((known, check)) = head.split_at_checked(HEAD_BYTES + keys_bytes) else {
            return Ok(None);
        };
        if Sha256::digest(known)[..] != *check {
            return Ok(None);
        }
        let (keys, _) = known[HEAD_BYTES..].as_chunks::<KEY_BYTES>();
        Ok(Some(keys.to_vec()))
    }

    /// The features of an image, if they are there and whole.
    pub(crate) fn get(&mut self, key: &Key) -> Result<Option<Vec<f32>>> {
        let Some(&(block, row)) = self.index.get(key) else { return Ok(None) };
        let path = self.blocks[block as usize].clone();
        match self.row(&path, block, row) {
            Ok(bytes)
                if check(key, &bytes[..self.num_features * 4])[..]
                    == bytes[self.num_features * 4..] =>
            {
                let (values, _) = bytes[..self.num_features * 4].as_chunks::<4>();
                Ok(Some(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
            }
            // Damaged, or removed by somebody else. The other rows of the block are not believed
            // either, and it must not come before the one that is written anew.
            Ok(_) | Err(_) => {
                self.open = None;
                self.index.retain(|_, (other, _)| *other != block);
                self.num_removed += 1;
                if path.exists() {
                    fs::remove_file(&path).map_err(|error| EmbedError::io(&path, error))?;
                }
                Ok(None)
            }
        }
    }

    fn row(&mut self, path: &Path, block: u32, row: u32) -> std::io::Result<Vec<u8>> {
        if self.open.as_ref().is_none_or(|(open, _, _)| *open != block) {
            let mut file = File::open(path)?;
            let mut head = [0; HEAD_BYTES];
            file.read_exact(&mut head)?;
            let rows = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
            let start = HEAD_BYTES as u64 + u64::from(rows) * KEY_BYTES as u64 + 32;
            self.open = Some((block, file, start));
        }
        let row_bytes = self.row_bytes();
        let (_, file, start) = self.open.as_mut().expect("it was opened above");
        file.seek(SeekFrom::Start(*start + u64::from(row) * row_bytes as u64))?;
        let mut bytes = vec![0; row_bytes];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a block of new rows.
    pub(crate) fn put(&mut self, rows: &[(Key, Vec<f32>)]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut head = MAGIC.to_vec();
        head.extend((rows.len() as u32).to_le_bytes());
        head.extend((self.num_features as u32).to_le_bytes());
        rows.iter().for_each(|(key, _)| head.extend(key));
        let sum = Sha256::digest(&head);
        let path = self.folder.join(format!("{}.rows", &hex(&sum)[..24]));
        let mut file = Pending::new(&path)?;
        file.write(&head)?;
        file.write(&sum)?;
        for (key, features) in rows {
            let bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
            file.write(&bytes)?;
            file.write(&check(key, &bytes))?;
        }
        file.keep()?;
        // The same block may be there already, damaged: what was read of it is void.
        self.open = None;
        let block = self.blocks.len() as u32;
        self.blocks.push(path);
        for (row, (key, _)) in rows.iter().enumerate() {
            self.index.insert(*key, (block, row as u32));
        }
        Ok(())
    }
}

/// What tells whether a row is whole.
fn check(key: &Key, features: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(features);
    hash.finalize()[..CHECK_BYTES].try_into().expect("a hash has 32 bytes")
}

/// Hash of what decides the features: content of the file, output and preprocessing.
fn cache_key(card: &BackboneCard) -> String {
    let decides = BackboneCard {
        file: String::new(),
        producer: String::new(),
        assumptions: Vec::new(),
        work: 0,
        live_bytes: 0,
        ..card.clone()
    };
    let json = serde_json::to_string(&decides).expect("a card holds text and finite numbers");
    hex(&Sha256::digest(json))
}
