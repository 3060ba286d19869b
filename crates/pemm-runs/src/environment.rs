//! `environment.json`: program, machine and time of a run.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::time;

/// What ran, on what, and since when. Nothing in it is part of a run's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Version of pemm.
    pub pemm_version: String,
    /// Commit that pemm was built from, if known.
    pub git_commit: Option<String>,
    /// Whether that tree had uncommitted changes, if known.
    pub git_dirty: Option<bool>,
    /// Operating system and architecture, for example `linux x86_64`.
    pub os: String,
    /// Model of the processor, where the system tells it.
    pub cpu_model: Option<String>,
    /// Processors that this process may use.
    pub num_cores: usize,
    /// Threads that the run uses.
    pub num_threads: usize,
    /// Device that the tensors are on, for example `cpu (flex)`.
    pub device: String,
    /// Vector instructions of the kernels, for example `avx512`: others round otherwise. Unknown in
    /// files of versions before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simd: Option<String>,
    /// Most memory that the process took which finished the run, in bytes. Unknown before the end,
    /// where the system does not tell it, and in files of versions before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Start of the run, `2026-11-22T11:50:03Z`.
    pub started_at: String,
}

impl Environment {
    /// This machine, now. `git` is the commit that pemm was built from and whether the tree had
    /// uncommitted changes.
    pub fn here(
        pemm_version: impl Into<String>,
        git: Option<(String, bool)>,
        num_threads: usize,
        device: impl Into<String>,
    ) -> Self {
        let (git_commit, git_dirty) = git.unzip();
        Self {
            pemm_version: pemm_version.into(),
            git_commit,
            git_dirty,
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu_model: cpu_model(),
            num_cores: std::thread::available_parallelism().map_or(1, usize::from),
            num_threads,
            device: device.into(),
            simd: None,
            peak_memory: None,
            started_at: time::utc(SystemTime::now()),
        }
    }
}

impl Environment {
    /// In what `self` and the environment of a later start differ so that the same steps may round
    /// otherwise: what it was, and what it is.
    pub fn rounds_otherwise(&self, later: &Self) -> Option<(String, String)> {
        let known = |one: &Option<String>, other: &Option<String>| {
            one.clone().zip(other.clone()).filter(|(one, other)| one != other)
        };
        (self.device != later.device)
            .then(|| (self.device.clone(), later.device.clone()))
            .or_else(|| known(&self.simd, &later.simd))
            .or_else(|| {
                // The processor tells it where the instructions are not known.
                let is_known = self.simd.is_some() && later.simd.is_some();
                known(&self.cpu_model, &later.cpu_model).filter(|_| !is_known)
            })
    }
}

/// The processor's name from `/proc/cpuinfo`, which only Linux has.
fn cpu_model() -> Option<String> {
    model_name(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn model_name(cpuinfo: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_is_found_among_other_lines() {
        let text = "processor\t: 0\nmodel\t\t: 33\nmodel name\t: Ryzen: 9 \nflags\t: fpu\n";
        assert_eq!(model_name(text).as_deref(), Some("Ryzen: 9"));
        assert_eq!(model_name("BogoMIPS : 50.0\n"), None);
    }

    #[test]
    fn what_may_round_otherwise_is_told_from_what_may_not() {
        let here = Environment::here("0.1.0", None, 2, "cpu");
        let with = |simd: &str| Environment { simd: Some(simd.into()), ..here.clone() };
        let other = Environment { cpu_model: Some("another".into()), ..here.clone() };
        let named = Environment { cpu_model: Some("this".into()), ..here.clone() };
        let gpu = Environment { device: "cuda".into(), ..with("avx2") };
        let pair = |one: &str, two: &str| Some((one.to_owned(), two.to_owned()));
        assert_eq!(with("avx2").rounds_otherwise(&with("avx512")), pair("avx2", "avx512"));
        assert_eq!(with("avx2").rounds_otherwise(&gpu), pair("cpu", "cuda"));
        assert_eq!(named.rounds_otherwise(&other), pair("this", "another"));
        assert_eq!(named.rounds_otherwise(&with("avx2")).is_some(), here.cpu_model.is_some());
        let other = Environment { simd: Some("avx2".into()), ..other };
        assert_eq!(with("avx2").rounds_otherwise(&other), None);
        let more = Environment { num_threads: 64, ..here.clone() };
        assert_eq!(here.rounds_otherwise(&more), None);
    }

    #[test]
    fn it_survives_json() {
        let here = Environment::here("0.1.0", Some(("abc".into(), true)), 2, "cpu");
        assert_eq!((here.git_dirty, here.num_threads), (Some(true), 2));
        assert!(here.num_cores >= 1 && here.started_at.ends_with('Z'));
        let text = serde_json::to_string(&here).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&text).unwrap(), here);
    }
}
