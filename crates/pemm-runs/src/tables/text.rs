//! A [`Table`] as Markdown, for people: per cent with two decimals, and below the numbers all that a
//! reader must know to believe them.

use std::collections::{BTreeMap, BTreeSet};

use crate::tables::cells::{
    difference, escaped, joined, markdown_list, markdown_row, percent, percents, printed_value,
    progress,
};
use crate::tables::column::Column;
use crate::tables::literature;
use crate::tables::table::{Judge, Row, Table};
use pemm_experiment::identity::short;
use pemm_experiment::loss::{ORACLE, TRUSTED};

/// Behind an arm that used what nobody knows of real data.
pub(crate) const ORACLE_MARK: &str = "°";
/// Behind an arm that used which labels are known to be right.
pub(crate) const TRUSTED_MARK: &str = "ᵗ";
/// Behind a mean that the seeds do not tell from the best.
const CLOSE_MARK: &str = "≈";

impl Table {
    /// The table for each of `judges`, and below it comparisons, noise, cost, literature, protocols,
    /// allowed differences, unequal seeds, runs that are not averaged.
    pub fn markdown(&self, judges: &[Judge]) -> String {
        let mut text = String::from(
            "Test accuracy in %: mean ± sample standard deviation over seeds (number of seeds). \
             **Bold**: the highest mean of a column. ",
        );
        text += &format!(
            "{CLOSE_MARK}: the 95 % interval of its difference from the highest, paired by seed, \
             contains 0.\n"
        );
        if self.arms.iter().any(|arm| self.tags(arm).contains(ORACLE)) {
            text += &format!(
                "{ORACLE_MARK}: used what nobody knows of real data, and is not compared.\n"
            );
        }
        if self.arms.iter().any(|arm| self.tags(arm).contains(TRUSTED)) {
            text += &format!(
                "{TRUSTED_MARK}: used which labels are known to be right, and is not compared.\n"
            );
        }
        if let Some(data) = self.only_data() {
            text += &format!("\nData: {}\n", escaped(data));
        }
        text += &self.devices_markdown();
        for &judge in judges {
            text += &format!("\n### {}\n\n{}", judge.title(), self.accuracies_markdown(judge));
            text += &markdown_list("Best against next", self.contest_lines(judge));
        }
        text += &self.costs_markdown();
        text += &self.literature_markdown();
        text += &markdown_list("Protocols", self.protocol_lines());
        text += &markdown_list("Allowed to differ", self.allowed_lines());
        let title = "Arms with other parameters in other columns: no one method";
        text += &markdown_list(title, self.varying_lines());
        text += &markdown_list("Arms with unequal seeds", self.unequal_seeds());
        text += &markdown_list("Runs of more than one commit", self.commits());
        let unfinished = self.unfinished.iter().map(|row| {
            let (arm, seed, path) = (&row.arm, row.seed, row.path.display());
            format!("{arm}, seed {seed}, {}: {} ({path})", row.column, progress(row))
        });
        text += &markdown_list("Not finished, not averaged", unfinished.collect());
        text
    }

    /// The name of the data set, if all columns have one name.
    pub(crate) fn only_data(&self) -> Option<&str> {
        let mut names = self.columns().map(|column| column.data.as_str());
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }

    /// What stands above a column: its noise, with its data unless those are named once for all.
    pub(crate) fn heading(&self, column: &Column) -> String {
        if self.only_data().is_none() {
            return column.to_string();
        }
        let name = column.noise_name();
        let alike = self.columns().filter(|other| other.noise_name() == name).count();
        if alike > 1 { format!("{name} ({})", short(&column.data_sha256)) } else { name }
    }

    /// The name of an arm, with its mark.
    pub(crate) fn arm_name(&self, arm: &str) -> String {
        let tags = self.tags(arm);
        let marks = [(ORACLE, ORACLE_MARK), (TRUSTED, TRUSTED_MARK)];
        let marks = marks.iter().filter(|(tag, _)| tags.contains(*tag)).map(|(_, mark)| *mark);
        format!("{arm}{}", marks.collect::<String>())
    }

    fn accuracies_markdown(&self, judge: Judge) -> String {
        let mut text = self.head("arm");
        text += &markdown_row(
            "*wrong labels, %*".into(),
            self.columns().map(|column| match self.realised_rate(column) {
                None => "?".into(),
                Some([low, high]) if percent(low) == percent(high) => percent(low),
                Some([low, high]) => format!("{}–{}", percent(low), percent(high)),
            }),
        );
        for arm in &self.arms {
            let cells = self.columns().map(|column| {
                let Some(summary) = self.summary(column, arm, judge) else { return "—".into() };
                let contest = self.contest(column, judge);
                let is_best = contest.as_ref().is_some_and(|contest| contest.best == *arm);
                let is_close = contest.is_some_and(|contest| contest.close.contains(arm));
                let text = percents(&summary);
                let text = if is_best { format!("**{text}**") } else { text };
                let mark = if is_close { format!(" {CLOSE_MARK}") } else { String::new() };
                format!("{text} ({}){mark}", summary.seeds.len())
            });
            text += &markdown_row(self.arm_name(arm), cells);
        }
        text
    }

    /// The head of a table with a column of names and one per column.
    fn head(&self, name: &str) -> String {
        let names = self.columns().map(|column| self.heading(column));
        let rule = "---:|".repeat(self.protocols.len());
        format!("{}|---|{rule}\n", markdown_row(name.into(), names))
    }

    fn contest_lines(&self, judge: Judge) -> Vec<String> {
        let line = |column: &Column| {
            let contest = self.contest(column, judge)?;
            let (next, paired) = contest.next?;
            let (heading, best) = (self.heading(column), contest.best);
            Some(format!("{heading}: {best} − {next} = {}", difference(&paired)))
        };
        self.columns().filter_map(line).collect()
    }

    /// Epochs, cost of a run and trials, by arm.
    fn costs_markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "\n### Cost of a run\n\n\
             The time includes scoring epochs on the test part. The oracle chooses among the scored ones.\n\n\
             | arm | runs | epochs | scored | processor time, s | by the clock, s | tuning trials |\n\
             |---|---:|---:|---:|---:|---:|---:|\n",
        );
        for arm in &self.arms {
            let Some(cost) = self.cost(arm) else { continue };
            let cells = [
                cost.num_runs.to_string(),
                format!("{:.0}", cost.num_epochs),
                format!("{:.0}", cost.num_scored),
                cost.cpu_seconds.map_or("?".into(), |seconds| format!("{seconds:.0}")),
                format!("{:.0}", cost.seconds),
                self.trials.get(arm).map_or("?".into(), usize::to_string),
            ];
            text += &markdown_row(self.arm_name(arm), cells.into_iter());
        }
        text
    }

    /// What papers print for the same data set, noise and rate, each table by itself.
    fn literature_markdown(&self) -> String {
        let columns: Vec<&Column> = self.columns().collect();
        let mut text = String::new();
        for printed in literature::catalogue() {
            let rows = printed.rows(&columns);
            if rows.is_empty() {
                continue;
            }
            if text.is_empty() {
                text += "\n### Literature\n\nNumbers of others, by data set and noise only: their \
                         data pipelines, networks and epochs are not those above.\n";
            }
            let (source, note) = (escaped(&printed.source), escaped(&printed.note));
            text += &format!("\n{source}; {note}:\n\n{}", self.head("method"));
            for (method, values) in rows {
                let cells = values.into_iter().map(|value| value.map_or("—".into(), printed_value));
                text += &markdown_row(method.into(), cells);
            }
        }
        text
    }

    fn protocol_lines(&self) -> Vec<String> {
        let line = |(place, column): (usize, &Column)| {
            let hash = self.rows.iter().find(|row| row.column == *column).map(|row| &row.protocol);
            let name = format!("{column}: `{}`", hash.map_or("", |hash| short(hash)));
            let differences = self.protocol_differences(column);
            match (place, differences.is_empty()) {
                (0, _) => name,
                (_, true) => format!("{name}, as the first"),
                _ => format!("{name}, against the first: {}", joined(&differences, "; ")),
            }
        };
        self.columns().enumerate().map(line).collect()
    }

    fn allowed_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (column, keys) in &self.allowed {
            for (key, values) in keys {
                let values =
                    values.iter().map(|(value, arms)| format!("{value} ({})", joined(arms, ", ")));
                lines.push(format!("{column}: {key} = {}", joined(values, ", ")));
            }
        }
        lines
    }

    fn varying_lines(&self) -> Vec<String> {
        let line = |arm: &String, key: &String, values: &BTreeMap<String, BTreeSet<String>>| {
            let values = values
                .iter()
                .map(|(value, columns)| format!("{value} ({})", joined(columns, ", ")));
            format!("{arm}: {key} = {}", joined(values, ", "))
        };
        let keys = self.varying.iter().flat_map(|(arm, keys)| keys.iter().map(move |k| (arm, k)));
        keys.map(|(arm, (key, values))| line(arm, key, values)).collect()
    }

    fn unequal_seeds(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for column in self.columns() {
            let seeds = |arm| self.cell(column, arm).map(|row| row.seed).collect::<Vec<_>>();
            let arms: Vec<(&String, Vec<u64>)> =
                self.arms.iter().map(|arm| (arm, seeds(arm))).collect();
            let mut arms = arms.iter().filter(|(_, seeds)| !seeds.is_empty()).peekable();
            let Some((_, first)) = arms.peek() else { continue };
            if arms.clone().any(|(_, seeds)| seeds != first) {
                let arms = arms.map(|(arm, seeds)| format!("{arm} {}", joined(seeds, ", ")));
                lines.push(format!("{column}: {}", joined(arms, "; ")));
            }
        }
        lines
    }

    /// The device that all finished runs ran on; where there are several, the runs on each, since
    /// costs do not compare then, and one seed gives other bits.
    fn devices_markdown(&self) -> String {
        let mut arms: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for row in &self.rows {
            *arms.entry(&row.device).or_default().entry(&row.arm).or_default() += 1;
        }
        if let (1, Some((device, _))) = (arms.len(), arms.iter().next()) {
            return format!("\nDevice: {}\n", escaped(device));
        }
        let line = |(device, arms): (&str, BTreeMap<&str, usize>)| {
            let runs = arms.iter().map(|(arm, num)| format!("{arm} ({num})"));
            format!("{device}: {}", joined(runs, ", "))
        };
        let title = "Runs of more than one device (costs do not compare)";
        markdown_list(title, arms.into_iter().map(line).collect())
    }

    /// Commits that the finished runs come from, where there is more than one.
    fn commits(&self) -> Vec<String> {
        let name = |(commit, dirty): &(String, bool)| {
            format!("{}{}", short(commit), if *dirty { " with changes" } else { "" })
        };
        let commit = |row: &Row| row.commit.as_ref().map_or("unknown".into(), name);
        let commits: BTreeSet<String> = self.rows.iter().map(commit).collect();
        if commits.len() < 2 { Vec::new() } else { commits.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::tables::table::tests::{run, with};

    #[test]
    fn an_arm_that_knew_right_labels_is_marked_and_not_compared() {
        let mut trusting = run("gold", 1, 0.94);
        trusting.1.tags = vec![TRUSTED.into()];
        let runs = [run("pemm", 1, 0.84), run("ce", 1, 0.5), trusting];
        let text = Table::of(&runs, &[]).unwrap().markdown(&[Judge::Last]);
        for line in [
            "ᵗ: used which labels are known to be right, and is not compared.",
            "| pemm | **84.00** (1) |",
            "| goldᵗ | 94.00 (1) |",
            "symmetric 0.4: pemm − ce = +34.00",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let without = Table::of(&runs[..2], &[]).unwrap().markdown(&[Judge::Last]);
        assert!(!without.contains('ᵗ'), "{without}");
    }

    #[test]
    fn markdown_as_a_whole() {
        let mut other = with(run("ce", 1, 0.7), "schedule", "epochs", 60);
        other.1.noise.nominal_rate = 0.6;
        let mut failed = run("a|b", 2, 0.1);
        failed.1.status = Status::Failed { step: 7, term: "energy".into(), message: "NaN".into() };
        let tuned = with(run("ce", 1, 0.5), "optim", "learning_rate", 0.1);
        let mut known = run("forward", 1, 0.95);
        known.1.tags = vec!["oracle".into()];
        known.1.environment.git_commit = Some("0123456789".into());
        known.1.environment.git_dirty = Some(true);
        let runs = [run("pemm", 1, 0.84), run("pemm", 2, 0.9), tuned, other, known, failed];
        let mut table = Table::of(&runs, &["optim.learning_rate".into()]).unwrap();
        table.trials.insert("pemm".into(), 9);
        let text = table.markdown(&Judge::ALL);
        let part = "
Data: cifar10

Device: cpu

### Last epoch

| arm | symmetric 0.4 | symmetric 0.6 |
|---|---:|---:|
| *wrong labels, %* | 40.00 | 40.00 |
| pemm | **87.00 ± 4.24** (2) | — |
| ce | 50.00 (1) | **70.00** (1) |
| forward° | 95.00 (1) | — |
| a\\|b | — | — |

Best against next:

- symmetric 0.4: pemm − ce = +34.00 (n = 1: no interval)
";
        assert!(text.contains(part), "{text}");
        for line in [
            "### Oracle: best scored epoch on the test set (no result)",
            "| pemm | 2 | 1 | 1 | 4 | 2 | 9 |",
            "| ce | 2 | 1 | 1 | 4 | 2 | ? |",
            "PEMM paper, Table 1 (CIFAR-10); 8-layer CNN",
            "| PEMM | 88.54 ± 0.07 | 85.25 ± 0.03 |",
            ", against the first: schedule.epochs: 120 → 60",
            "- cifar10 (dddddddd), symmetric 0.4: optim.learning_rate = 0.01 (forward, pemm), 0.1 (ce)",
            "- cifar10 (dddddddd), symmetric 0.4: pemm 1, 2; ce 1; forward 1",
            "- 01234567 with changes\n- unknown\n",
            "- a\\|b, seed 2, cifar10 (dddddddd), symmetric 0.4: failed in step 7, term energy: NaN",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn the_paired_interval_marks_who_is_close() {
        let values = [("pemm", [0.81, 0.82, 0.80]), ("sce", [0.80, 0.83, 0.79]), ("ce", [0.5; 3])];
        let runs: Vec<_> = values
            .iter()
            .flat_map(|(arm, values)| (1..).zip(values).map(|(seed, &value)| run(arm, seed, value)))
            .collect();
        let text = Table::of(&runs, &[]).unwrap().markdown(&[Judge::Last]);
        for part in [
            "| pemm | **81.00 ± 1.00** (3) |",
            "| sce | 80.67 ± 2.08 (3) ≈ |",
            "| ce | 50.00 ± 0.00 (3) |",
            "pemm − sce = +0.33 (95 % interval -2.54 to +3.20, p = 0.667, n = 3)",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Best epoch by noisy"), "{text}");
    }

    #[test]
    fn two_devices_and_other_parameters_are_told() {
        let mut on_gpu = run("pemm", 1, 0.8);
        on_gpu.1.environment.device = "cuda:0".into();
        let mut other = with(run("pemm", 1, 0.7), "loss", "alpha", 0.5);
        other.1.noise.nominal_rate = 0.6;
        let text = Table::of(&[run("ce", 1, 0.5), on_gpu, other], &[]).unwrap().markdown(&[]);
        for part in [
            "more than one device (costs do not compare):\n\n- cpu: ce (1), pemm (1)\n- cuda:0: pemm (1)",
            "other columns: no one method:\n\n- pemm: loss.alpha = (not set) (symmetric 0.4), 0.5 (sym",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn columns_of_two_data_sets_are_named_in_full() {
        let mut other = run("ce", 1, 0.7);
        other.1.data.name = "mnist".into();
        let table = Table::of(&[run("ce", 1, 0.5), other], &[]).unwrap();
        let text = table.markdown(&[Judge::Last]);
        let head = "| arm | cifar10 (dddddddd), symmetric 0.4 | mnist (dddddddd), symmetric 0.4 |";
        assert!(text.contains(head) && !text.contains("\nData:"), "{text}");
    }

    #[test]
    fn an_empty_table_is_still_text() {
        let table = Table::of(&[], &[]).unwrap();
        assert!(table.markdown(&Judge::ALL).contains("### Last epoch"));
    }
}
