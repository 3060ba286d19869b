//! What a folder held: every entry that was met, read as an image or left out by a rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::shown::shown;

/// Examples that are kept of each rule.
const NUM_EXAMPLES: usize = 5;

/// Why an entry of a folder is no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// An image in a format that is not read, such as HEIC or AVIF.
    OtherFormat,
    /// An image by its content whose ending does not say so, such as `photo.jpg~` or `photo`.
    OtherEnding,
    /// An image beside the class folders, which belongs to no class.
    BesideClasses,
    /// A folder beside the folders of the parts.
    BesideParts,
    /// The folder of a part whose images lie in no class folder, so that nobody knows their labels.
    UnlabelledPart,
    /// A folder without any image, among class folders.
    NoImages,
    /// Runs, audits and grids of this program.
    OwnOutput,
    /// What file managers, disk stations, notebooks and virtual environments leave.
    System,
    /// A name that begins with a point.
    Hidden,
    /// A link to a folder below a class folder; following it could go on for ever.
    LinkedFolder,
    /// A link that leads nowhere, as to a class folder on a disk that is not there.
    DeadLink,
    /// A pipe, a socket or a device.
    NoFile,
    /// An archive, as a class that nobody unpacked.
    Archive,
    /// A file that is no image, or a folder without images beside the parts.
    OtherFile,
    /// An image that does not decode and was left out as `data.broken = "skip"` says.
    Broken,
}

impl Rule {
    /// What the entries are, for a sentence like "3 …".
    fn what(self, many: bool) -> &'static str {
        let (one, several) = match self {
            Self::OtherFormat => {
                ("image in a format that is not read", "images in formats that are not read")
            }
            Self::OtherEnding => {
                ("image without the ending of one", "images without the ending of one")
            }
            Self::BesideClasses => {
                ("image beside the class folders", "images beside the class folders")
            }
            Self::BesideParts => ("folder beside the parts", "folders beside the parts"),
            Self::UnlabelledPart => {
                ("part whose images have no labels", "parts whose images have no labels")
            }
            Self::NoImages => ("folder without images", "folders without images"),
            Self::OwnOutput => ("folder of runs or audits", "folders of runs or audits"),
            Self::System => ("entry of the system", "entries of the system"),
            Self::Hidden => ("hidden entry", "hidden entries"),
            Self::LinkedFolder => ("link to a folder", "links to folders"),
            Self::DeadLink => ("link that leads nowhere", "links that lead nowhere"),
            Self::NoFile => ("pipe, socket or device", "pipes, sockets or devices"),
            Self::Archive => ("archive", "archives"),
            Self::OtherFile => ("other entry without images", "other entries without images"),
            Self::Broken => ("image that does not decode", "images that do not decode"),
        };
        if many { several } else { one }
    }

    /// What to do if they were meant to be read; empty where nobody means that.
    fn advice(self) -> &'static str {
        match self {
            Self::OtherFormat => "; convert them to jpg or png",
            Self::OtherEnding => "; rename them, for example to .jpg",
            Self::BesideClasses => "; move them into the folder of their class",
            Self::BesideParts => {
                "; name a part train, val or test, or set data.layout = \"classes\" if these are \
                 classes"
            }
            Self::UnlabelledPart => "; to use them, move the images into class folders",
            Self::LinkedFolder => "; copy the folders",
            Self::DeadLink => "; bring back what they lead to, or remove them",
            Self::Archive => "; unpack what holds images",
            Self::Broken => "; repair or replace them",
            Self::NoImages | Self::OwnOutput | Self::System | Self::Hidden => "",
            Self::NoFile | Self::OtherFile => "",
        }
    }

    /// Whether the entries are likely to be missed.
    fn is_told(self) -> bool {
        match self {
            Self::OtherFormat | Self::OtherEnding | Self::BesideClasses | Self::BesideParts => true,
            Self::UnlabelledPart
            | Self::NoImages
            | Self::LinkedFolder
            | Self::DeadLink
            | Self::NoFile
            | Self::Archive
            | Self::Broken => true,
            Self::OwnOutput | Self::System | Self::Hidden | Self::OtherFile => false,
        }
    }
}

/// Entries that one rule left out. A folder counts as one, with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Why.
    pub rule: Rule,
    /// How many.
    pub count: usize,
    /// How many of them end how; folders and names without a point under the empty text.
    pub endings: BTreeMap<String, usize>,
    /// The first of them, as paths relative to the data folder.
    pub examples: Vec<String>,
}

/// Images that were read as one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadPart {
    /// `train`, `val` or `test`; for a prediction `images`.
    pub part: String,
    /// The folder that was taken for it, relative to the data folder; empty for that itself.
    pub folder: String,
    /// Images of each class, in the order of their ids; of a prediction one number.
    pub images: Vec<usize>,
}

/// What was met in the folders and files that were named, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What was read. Nothing for sources that are no image folders.
    pub read: Vec<ReadPart>,
    /// What was left out, in the order of the rules.
    pub left_out: Vec<LeftOut>,
    /// How many of the images that were decoded so far are partly transparent; they lie on white.
    pub transparent: usize,
}

impl Account {
    /// Notes an entry by its path relative to the data folder.
    pub(crate) fn leave_out(&mut self, rule: Rule, path: &str, ending: &str) {
        let at = match self.left_out.binary_search_by_key(&rule, |left_out| left_out.rule) {
            Ok(at) => at,
            Err(at) => {
                let (endings, examples) = (BTreeMap::new(), Vec::new());
                self.left_out.insert(at, LeftOut { rule, count: 0, endings, examples });
                at
            }
        };
        let left_out = &mut self.left_out[at];
        left_out.count += 1;
        // Invented endings must not fill a record.
        let ending = if ending.len() > 10 || left_out.endings.len() >= 100 { "" } else { ending };
        *left_out.endings.entry(ending.into()).or_default() += 1;
        if left_out.examples.len() < NUM_EXAMPLES {
            left_out.examples.push(path.into());
        }
    }

    /// Images read, in all parts.
    pub fn num_read(&self) -> usize {
        self.read.iter().flat_map(|part| &part.images).sum()
    }

    /// Entries left out by one rule.
    pub fn num_left_out(&self, rule: Rule) -> usize {
        self.left_out.iter().filter(|left_out| left_out.rule == rule).map(|l| l.count).sum()
    }

    /// Files that are images but were not read: who lets a model predict on a folder misses these.
    pub fn num_images_left_out(&self) -> usize {
        let rules = [Rule::OtherFormat, Rule::OtherEnding, Rule::BesideClasses, Rule::Broken];
        rules.into_iter().map(|rule| self.num_left_out(rule)).sum()
    }

    /// A sentence for each rule that left out something, with what to do.
    pub fn lines(&self) -> Vec<String> {
        self.left_out.iter().map(line).collect()
    }

    /// The sentences of [`Self::lines`] that nobody should miss: of what may have been meant to be
    /// read. Hidden files, files of the system and the like are not among them.
    pub fn warnings(&self) -> Vec<String> {
        self.left_out.iter().filter(|left_out| left_out.rule.is_told()).map(line).collect()
    }
}

fn line(left_out: &LeftOut) -> String {
    let LeftOut { rule, count, endings, examples } = left_out;
    let by_ending: Vec<String> = endings
        .iter()
        .filter(|(ending, _)| !ending.is_empty())
        .map(|(ending, count)| format!("{count} .{}", shown(ending)))
        .collect();
    let by_ending = match rule {
        Rule::OtherFormat if by_ending.len() > 1 => format!(" ({})", by_ending.join(", ")),
        Rule::OtherFormat => {
            format!(" (.{})", endings.keys().map(|e| shown(e)).collect::<String>())
        }
        _ => String::new(),
    };
    let first: Vec<_> = examples.iter().map(|example| shown(example)).collect();
    let more = if *count > first.len() { ", …" } else { "" };
    format!(
        "left out {count} {}{by_ending}: {}{more}{}",
        rule.what(*count != 1),
        first.join(", "),
        rule.advice()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_by_rule_with_examples() {
        let mut account = Account::default();
        for number in 0..9 {
            account.leave_out(Rule::OtherFormat, &format!("a/{number}.HEIC"), "heic");
        }
        account.leave_out(Rule::OtherFormat, "a/x.avif", "avif");
        account.leave_out(Rule::System, "a/@eaDir", "");
        account.leave_out(Rule::OtherEnding, "a/photo\u{1b}[2J", "");
        assert_eq!(account.num_left_out(Rule::OtherFormat), 10);
        assert_eq!((account.num_images_left_out(), account.num_read()), (11, 0));
        let lines = account.lines();
        assert_eq!(
            lines[0],
            "left out 10 images in formats that are not read (1 .avif, 9 .heic): a/0.HEIC, \
             a/1.HEIC, a/2.HEIC, a/3.HEIC, a/4.HEIC, …; convert them to jpg or png"
        );
        assert!(lines[1].starts_with("left out 1 image without the ending of one: a/photo\\u{1b}"));
        assert_eq!(lines[2], "left out 1 entry of the system: a/@eaDir");
        assert_eq!(account.warnings(), lines[..2]);
        let text = serde_json::to_string(&account).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), account);
    }

    #[test]
    fn invented_endings_do_not_fill_a_record() {
        let mut account = Account::default();
        for number in 0..5000 {
            account.leave_out(Rule::OtherFile, "x", &format!("e{number}"));
        }
        account.leave_out(Rule::OtherFile, "x", &"y".repeat(300));
        assert_eq!(account.num_left_out(Rule::OtherFile), 5001);
        assert!(account.left_out[0].endings.len() <= 101);
    }
}
