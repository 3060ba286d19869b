//! The script of a job array, as Slurm runs it and as the user reads it in the grid's folder.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What each task may take.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) threads: usize,
    /// In MiB; without it Slurm's own default holds.
    pub(super) memory: Option<u64>,
    /// As Slurm writes it; without it the partition's own limit holds.
    pub(super) time: Option<String>,
}

/// What a script is made of.
#[derive(Debug)]
pub(super) struct Script<'a> {
    /// Name of the job.
    pub(super) name: &'a str,
    pub(super) num_tasks: usize,
    /// Most tasks at once, if there is a limit of the user's.
    pub(super) at_once: Option<usize>,
    pub(super) resources: &'a Resources,
    /// More options, as the user wrote them.
    pub(super) options: Option<&'a str>,
    /// The folder that paths are relative to.
    pub(super) here: PathBuf,
    pub(super) program: PathBuf,
    pub(super) grid: &'a Path,
    pub(super) out: &'a Path,
    /// The file with the names of the runs, one a line.
    pub(super) cells: &'a Path,
    pub(super) device: &'a str,
    pub(super) records: Option<&'a Path>,
}

impl Script<'_> {
    /// The text.
    ///
    /// # Errors
    /// A path that is no text.
    pub(super) fn text(&self) -> Result<String, Failure> {
        let Resources { threads, memory, time } = self.resources;
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        let at_once = self.at_once.map_or(String::new(), |jobs| format!("%{jobs}"));
        let mut text = format!(
            "#!/bin/bash\n\
             # Each task of this array is one run of the grid. `pemm grid --slurm` wrote and submitted\n\
             # it; the same command submits what is left when it has ended.\n\
             #SBATCH --job-name=pemm-{name}\n\
             #SBATCH --array=1-{}{at_once}\n\
             #SBATCH --cpus-per-task={threads}\n",
            self.num_tasks
        );
        if let Some(mib) = memory {
            text += &format!("#SBATCH --mem={mib}M\n");
        }
        if let Some(time) = time {
            text += &format!("#SBATCH --time={time}\n");
        }
        text += "#SBATCH --requeue --open-mode=append --output=%a.log\n\
                 #SBATCH --signal=B:USR1@60\n";
        if let Some(options) = self.options {
            text += &format!("#SBATCH {options}\n");
        }
        let mut command = format!(
            "{} --threads \"$SLURM_CPUS_PER_TASK\" grid --out {}",
            quoted(&self.program)?,
            quoted(self.out)?
        );
        if self.device != "cpu" {
            command += &format!(" --device {}", quoted(Path::new(self.device))?);
        }
        if let Some(records) = self.records {
            command += &format!(" --records {}", quoted(records)?);
        }
        command += &format!(" --cell=\"$cell\" -- {}", quoted(self.grid)?);
        text += &format!(
            r#"
cd {here} || exit 1
cell=$(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {cells})
epochs() {{ cat {out}/"$cell"/log.jsonl 2>/dev/null | wc -l; }}
before=$(epochs)

# A minute before the time limit: back into the queue, to go on after the last epoch. Where not one
# epoch was done, the next try would come no further.
near_the_limit() {{
    if [ "$(epochs)" -gt "$before" ]; then
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
    else
        echo "the time limit is too short for one epoch; submit again with a longer --time"
    fi
}}
trap near_the_limit USR1
trap : TERM # the run gets it as well and saves; this waits for that

{command} &
wait $!; code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done # a signal ends a wait
exit $code
"#,
            here = quoted(&self.here)?,
            cells = quoted(self.cells)?,
            out = quoted(self.out)?,
        );
        Ok(text)
    }
}

/// `path` as one word of a shell.
fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().ok_or_else(|| {
        let why = "is no valid text, so it cannot stand in a job script; rename it";
        Failure::usage(format!("{}: {why}", path.display()))
    })?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell() {
        let word = |text: &str| quoted(Path::new(text)).unwrap();
        assert_eq!(word("runs/a-1.toml"), "runs/a-1.toml");
        assert_eq!(word("my runs"), "'my runs'");
        assert_eq!(word("Anna's $HOME"), r"'Anna'\''s $HOME'");
    }
}
