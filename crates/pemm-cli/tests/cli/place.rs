//! A folder of its own for each test, in which the binary is run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// Settings that make a run on tiny data take no time.
pub(crate) const QUICK: &str = "--set schedule.num_epochs=2 --set model.width=16";

/// Classes of [`Place::images`], with their colours.
const COLOURS: [(&str, [u8; 3]); 3] =
    [("blue", [30, 30, 200]), ("green", [30, 200, 30]), ("red", [200, 30, 30])];

pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary with the words of `line` as arguments, not started yet.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pemm"));
        command.current_dir(self.folder.path()).args(line.split_whitespace());
        command.env("PEMM_CACHE", self.folder.path().join(".cache"));
        command.env("COLUMNS", "100").env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn pemm(&self, line: &str) -> Said {
        self.run(line, self.command(line))
    }

    /// Runs the binary to its end in the folder `name` of the place.
    pub(crate) fn in_folder(&self, name: &str, line: &str) -> Said {
        let mut command = self.command(line);
        command.current_dir(self.path(name));
        self.run(line, command)
    }

    /// The same with one more argument, which may hold spaces.
    pub(crate) fn pemm_with(&self, line: &str, last: &str) -> Said {
        let mut command = self.command(line);
        command.arg(last);
        self.run(&format!("{line} {last}"), command)
    }

    fn run(&self, line: &str, mut command: Command) -> Said {
        Said::of(line, command.output().unwrap())
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The values of a safetensors file. Its header names the run, so files of two runs differ there.
    pub(crate) fn tensors(&self, name: &str) -> Vec<u8> {
        let bytes = self.read(name);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[8 + length as usize..].to_vec()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// What is in a folder, sorted.
    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A PNG of noisy `colour`; `number` opens the noise.
    pub(crate) fn png(&self, name: &str, [width, height]: [u32; 2], colour: [u8; 3], number: u32) {
        let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 26) as u8
        };
        let image = RgbImage::from_fn(width, height, |_, _| {
            Rgb(colour.map(|value| value.saturating_add(noise()).saturating_sub(30)))
        });
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        image.save(self.path(name)).unwrap();
    }

    /// `<root>/<class>/00.png` … of 8×8 pixels in the classes blue, green and red.
    pub(crate) fn images(&self, root: &str, per_class: u32) {
        for (class, (name, colour)) in (0..).zip(COLOURS) {
            for i in 0..per_class {
                let path = format!("{root}/{name}/{i:02}.png");
                self.png(&path, [8, 8], colour, 1000 * class + i);
            }
        }
    }

    /// A CSV with `rows` feature vectors of the classes a, b and c.
    pub(crate) fn features(&self, name: &str, rows: u32) {
        let mut text = String::from("x,y,label\n");
        for i in 0..rows {
            let (class, jitter) = (i % 3, f64::from(i * 37 % 11) / 40.0);
            let x = f64::from(class) + jitter;
            text += &format!("{x},{},{}\n", -x - jitter, ["a", "b", "c"][class as usize]);
        }
        self.write(name, text);
    }
}

/// What the binary said.
pub(crate) struct Said {
    line: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(line: &str, output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Self {
            line: line.into(),
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!said.err.contains("panicked"), "{said}");
        said
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// The exit code is `code`, standard output is empty, and the message has every one of `parts`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        assert_eq!(self.out, "", "{self}");
        for part in parts {
            assert!(self.err.contains(part), "expected {part:?}\n{self}");
        }
    }

    /// Standard output has every one of `parts`.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.out.contains(part), "expected {part:?}\n{self}");
        }
    }

    /// Standard output as JSON, one value per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}\n{self}"));
        self.out.lines().map(parse).collect()
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { line, code, out, err } = self;
        write!(formatter, "pemm {line}\ncode {code:?}\n--- out\n{out}\n--- err\n{err}")
    }
}
