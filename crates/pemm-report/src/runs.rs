//! The report on several runs: who is best, and how that depends on noise and settings.

mod groups;
mod maps;
mod overlays;
mod settings;
mod together;

use std::path::{Path, PathBuf};

use pemm_experiment::loss::{ORACLE, TRUSTED};
use pemm_runs::found::records;
use pemm_runs::{EnsembleRecord, Judge, Record, Status, Table as RunTable};

use crate::chart::{Axis, Bar, BarChart, Color, Data};
use crate::error::Result;
use crate::report::{Report, Section, Table, percent};
use crate::run::Options;
use groups::{Group, arms, groups};

/// Figures of one kind; more make a page that nobody reads.
const MAX_FIGURES: usize = 8;
/// Runs that are listed.
const MAX_LISTED: usize = 400;

/// The runs of a folder.
#[derive(Debug, Clone)]
pub struct Runs {
    /// The folder.
    pub path: PathBuf,
    /// Where each lies, and what it was and gave.
    pub runs: Vec<(PathBuf, Record)>,
    /// Those that could not be read, and why.
    pub problems: Vec<String>,
    /// How well they predict together, where they do.
    pub together: Option<EnsembleRecord>,
}

impl Runs {
    /// Reads the run folders and record files directly in `path`, in the order of their names. A
    /// record that cannot be read is a problem, not an error.
    ///
    /// # Errors
    /// No folder, or one without any run.
    pub fn read(path: &Path) -> Result<Self> {
        let mut all = Self {
            path: path.to_path_buf(),
            runs: Vec::new(),
            problems: Vec::new(),
            together: None,
        };
        for (inner, record) in records(path)? {
            match record {
                Ok(record) => all.runs.push((inner, record)),
                Err(error) => all.problems.push(error.to_string()),
            }
        }
        match EnsembleRecord::read(path) {
            Ok(together) => all.together = together,
            Err(error) => all.problems.push(error.to_string()),
        }
        Ok(all)
    }
}

/// The report on `all`; keys of `allow` may differ where the table wants them equal.
pub fn report(all: &Runs, allow: &[String], options: &mut Options<'_>) -> Report {
    let runs = &all.runs;
    let arms = arms(runs);
    let groups = groups(runs);
    let mut notices = all.problems.clone();
    notices.extend(together::notice(all));
    let unfinished = runs.iter().filter(|(_, record)| record.status != Status::Finished).count();
    if unfinished > 0 {
        notices.push(format!(
            "{unfinished} of {} runs are not finished; they are part of no mean.",
            runs.len()
        ));
    }
    let mut sections = vec![together::by_class(all), results(runs, &groups, allow, &mut notices)];
    sections.push(compared(&groups, &arms));
    sections.push(settings::noise_rates(&groups, &arms));
    sections.push(settings::sweeps(&groups));
    if options.num_points > 0 {
        sections.push(maps::maps(runs, &arms, options));
    }
    sections.push(overlays::overlays(runs, &arms));
    sections.push(listed(all, &groups));
    sections.retain(|section| !section.is_empty());
    let name = all
        .path
        .file_name()
        .map_or_else(|| all.path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Report {
        title: name,
        verdict: together::verdict(all),
        lead: format!(
            "{} runs of {} method{}. Test accuracies are means over seeds ± sample standard \
             deviation, after the last epoch unless it says otherwise.",
            runs.len(),
            arms.len(),
            if arms.len() == 1 { "" } else { "s" }
        ),
        notices,
        tiles: Vec::new(),
        sections,
        num_colors: arms.len().max(
            runs.iter().map(|(_, record)| record.data.classes.len()).max().unwrap_or_default(),
        ),
    }
}

/// The tables of comparable runs, one for each way to choose the epoch.
fn results(
    runs: &[(PathBuf, Record)],
    groups: &[Group<'_>],
    allow: &[String],
    notices: &mut Vec<String>,
) -> Section {
    let mut section = Section::new("results", "Results");
    let is_sweep = groups.iter().enumerate().any(|(index, group)| {
        groups[..index].iter().any(|other| other.arm == group.arm && other.column == group.column)
    });
    if is_sweep {
        section.text.push(
            "These runs vary the settings of a method, so a table of methods would mix them; each \
             setting stands below with its mean."
                .into(),
        );
        return section;
    }
    let table = match RunTable::of(runs, allow) {
        Ok(table) => table,
        Err(error) => {
            notices.push(format!("No table of comparable runs: {error}"));
            return section;
        }
    };
    for judge in Judge::ALL {
        let columns = table.columns().map(ToString::to_string);
        let mut data = Data::new(std::iter::once("method".to_owned()).chain(columns));
        for arm in &table.arms {
            let cells = table.columns().map(|column| {
                table.summary(column, arm, judge).map_or("—".into(), |summary| {
                    let deviation = summary.deviation.map(|d| format!(" ± {:.2}", 100.0 * d));
                    let num = summary.seeds.len();
                    let mean = 100.0 * summary.mean;
                    format!("{mean:.2}{} ({num})", deviation.unwrap_or_default())
                })
            });
            let tags = table.tags(arm);
            let noise = if tags.contains(ORACLE) { " (oracle: knows the noise)" } else { "" };
            let right =
                if tags.contains(TRUSTED) { " (knows some labels to be right)" } else { "" };
            data.row(std::iter::once(format!("{arm}{noise}{right}")).chain(cells));
        }
        section.tables.push(Table {
            name: format!("results-{}", judge.key().replace('_', "-")),
            caption: format!("{}: test accuracy in %, number of seeds", judge.title()),
            data,
        });
    }
    section
}

/// Bars of all arms, for each column.
fn compared(groups: &[Group<'_>], arms: &[String]) -> Section {
    let mut section = Section::new("methods", "The methods side by side");
    let mut columns: Vec<_> = groups.iter().map(|group| &group.column).collect();
    columns.sort();
    columns.dedup();
    for (index, column) in columns.iter().enumerate().take(MAX_FIGURES) {
        let bars: Vec<Bar> = groups
            .iter()
            .filter(|group| group.column == **column)
            .filter_map(|group| {
                let mean = group.accuracy()?;
                Some(Bar {
                    label: group.label.clone(),
                    value: 100.0 * mean.mean,
                    error: mean.deviation.map(|deviation| 100.0 * deviation),
                    color: color(arms, &group.arm),
                })
            })
            .collect();
        if bars.len() < 2 {
            continue;
        }
        let chart = BarChart::new(
            format!("methods-{}", index + 1),
            column.to_string(),
            Axis::new("test accuracy, last epoch, %").from(0.0),
        )
        .unit(" %")
        .description("Test accuracy after the last epoch, mean over seeds ± standard deviation.");
        section.figures.push(bars.into_iter().fold(chart, BarChart::bar).figure());
    }
    section
}

/// Every group and every run.
fn listed(all: &Runs, groups: &[Group<'_>]) -> Section {
    let mut section = Section::new("runs", "All runs");
    let mut data =
        Data::new(["method", "data and noise", "seeds", "test accuracy, last epoch", "± (sd)"]);
    for group in groups.iter().take(MAX_LISTED) {
        let accuracy = group.accuracy();
        data.row([
            group.label.clone(),
            group.column.to_string(),
            group.seeds(),
            accuracy.as_ref().map_or("—".into(), |mean| percent(mean.mean)),
            accuracy.and_then(|mean| mean.deviation).map_or("—".into(), percent),
        ]);
    }
    let caption = "Settings, each with its seeds".into();
    section.tables.push(Table { name: "settings".into(), caption, data });
    let mut data = Data::new(["run", "method", "seed", "status", "epochs", "test accuracy"]);
    for (path, record) in all.runs.iter().take(MAX_LISTED) {
        let status = match &record.status {
            Status::Running => "running".into(),
            Status::Finished => "finished".into(),
            Status::Interrupted => "interrupted".into(),
            Status::Failed { step, term, .. } => format!("failed at step {step}, {term}"),
        };
        let last = record.choice.last.and_then(|last| last.test_accuracy);
        data.row([
            path.strip_prefix(&all.path).unwrap_or(path).display().to_string(),
            record.arm.clone(),
            record.seed().to_string(),
            status,
            record.epochs.len().to_string(),
            last.map_or("—".into(), percent),
        ]);
    }
    section.tables.push(Table { name: "runs".into(), caption: "Runs".into(), data });
    section
}

/// The colour of an arm, the same in every figure.
fn color(arms: &[String], arm: &str) -> Color {
    Color::Series(arms.iter().position(|known| known == arm).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use pemm_data::Score;
    use pemm_runs::{EnsembleMember, PartScores};

    fn runs() -> Runs {
        let mut runs = Vec::new();
        for (arm, alpha) in [("ce", 0.1), ("pemm", 0.1), ("pemm", 0.5), ("pemm", 1.0)] {
            for rate in [0.2, 0.4] {
                for seed in [1, 2] {
                    let mut run = record(arm, 3);
                    run.experiment["seed"] = seed.into();
                    run.experiment["loss"]["alpha"] = alpha.into();
                    run.experiment["noise"]["rate"] = rate.into();
                    run.noise.nominal_rate = rate;
                    runs.push((format!("runs/{arm}-{alpha}-{rate}-{seed}").into(), run));
                }
            }
        }
        Runs { path: "runs".into(), runs, problems: vec!["<b>broken</b>".into()], together: None }
    }

    fn made(runs: &Runs) -> Report {
        let mut on_round = |_, _| {};
        report(runs, &[], &mut Options { num_points: 100, on_round: &mut on_round })
    }

    #[test]
    fn rates_sweeps_and_curves_are_found() {
        let report = made(&runs());
        let names: Vec<&str> = report.figures().map(|figure| figure.name.as_str()).collect();
        for name in ["methods-1", "methods-2", "rates-1", "sweep-loss-alpha", "test-accuracy-1"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        let sweep = report.figures().find(|figure| figure.name == "sweep-loss-alpha").unwrap();
        assert_eq!(sweep.data.rows.len(), 3, "{:?}", sweep.data);
        assert!(
            report.html().contains("&lt;b&gt;broken&lt;/b&gt;")
                || report.html().contains("&#60;b&#62;broken")
        );
    }

    #[test]
    fn one_run_and_unfinished_runs_make_a_page() {
        let mut one = runs();
        one.runs.truncate(1);
        assert!(made(&one).html().ends_with("</html>"));
        for (_, record) in &mut one.runs {
            record.status = Status::Failed { step: 1, term: "x".into(), message: "NaN".into() };
        }
        let report = made(&one);
        assert!(report.notices.iter().any(|notice| notice.contains("1 of 1 runs")));
        one.runs[0].1.set_epochs(vec![]);
        assert!(made(&one).html().ends_with("</html>"));
    }

    #[test]
    fn runs_that_predict_together_are_told_first() {
        let mut all = runs();
        assert!(made(&all).verdict.is_empty());
        all.runs.truncate(2);
        let members = [0, 1].map(|at| EnsembleMember {
            run: ["ce", "pemm"][at].into(),
            identity: all.runs[at].1.identity.clone(),
            epoch: 3,
        });
        for (at, name) in ["ce", "pemm"].into_iter().enumerate() {
            all.runs[at].0 = format!("runs/{name}").into();
        }
        let classes = all.runs[0].1.data.classes.len();
        let probabilities: Vec<f32> =
            (0..2 * classes).map(|i| f32::from(i % classes == 0)).collect();
        let part = PartScores::from(&Score::of(classes, &[0, 1], &probabilities));
        all.together = Some(EnsembleRecord::new(members.to_vec(), None, Some(part.clone())));
        let report = made(&all);
        let said = "Together, ce and pemm are right for 50.00 % of 2 test samples.";
        assert!(report.verdict.starts_with(said), "{}", report.verdict);
        assert_eq!(report.sections[0].tables[0].data.rows.len(), part.classes.len());
        assert!(!report.notices.iter().any(|notice| notice.contains("ensemble.json")));
        all.runs.pop();
        let report = made(&all);
        assert!(report.verdict.is_empty(), "{}", report.verdict);
        assert!(report.notices.iter().any(|notice| notice.contains("ensemble.json")));
    }

    #[test]
    fn a_folder_without_runs_says_what_to_give() {
        let folder = tempfile::tempdir().unwrap();
        let message = Runs::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("holds no run"), "{message}");
        std::fs::write(folder.path().join("x.json"), "{}").unwrap();
        record("pemm", 2).write(&folder.path().join("y.json")).unwrap();
        let read = Runs::read(folder.path()).unwrap();
        assert_eq!((read.runs.len(), read.problems.len()), (1, 1));
    }
}
