//! A [`Table`] as LaTeX for a paper: `booktabs`, per cent, the best of a column bold, those that the
//! seeds do not tell from it underlined.

use crate::tables::cells::percent;
use crate::tables::statistics::Summary;
use crate::tables::table::{Judge, Table};
use pemm_experiment::loss::{ORACLE, TRUSTED};

impl Table {
    /// One `tabular` per judge; needs `\usepackage{booktabs}`.
    pub fn latex(&self, judges: &[Judge]) -> String {
        let mut text = String::from(
            "% Test accuracy in %, mean and sample standard deviation over seeds. Bold: the highest \
             mean of a column;\n% underlined: the 95 % interval of its difference from the highest, \
             paired by seed, contains 0.\n",
        );
        if self.arms.iter().any(|arm| self.tags(arm).contains(ORACLE)) {
            text += "% Dagger: used what nobody knows of real data, and is not compared.\n";
        }
        if self.arms.iter().any(|arm| self.tags(arm).contains(TRUSTED)) {
            text += "% t: used which labels are known to be right, and is not compared.\n";
        }
        for &judge in judges {
            text += &format!("% {}, {}\n", judge.title(), self.seeds_line());
            text += &self.tabular(judge);
        }
        text
    }

    fn tabular(&self, judge: Judge) -> String {
        let names = self.columns().map(|column| escaped(&self.heading(column)));
        let mut text =
            format!("\\begin{{tabular}}{{l{}}}\n\\toprule\n", "r".repeat(self.protocols.len()));
        text += &line("", names);
        text += "\\midrule\n";
        for arm in &self.arms {
            let cells = self.columns().map(|column| {
                let Some(summary) = self.summary(column, arm, judge) else { return "--".into() };
                let contest = self.contest(column, judge);
                let is_best = contest.as_ref().is_some_and(|contest| contest.best == *arm);
                let is_close = contest.is_some_and(|contest| contest.close.contains(arm));
                cell(&summary, is_best, is_close)
            });
            let tags = self.tags(arm);
            let oracle = if tags.contains(ORACLE) { "$^\\dagger$" } else { "" };
            let trusted = if tags.contains(TRUSTED) { "$^{t}$" } else { "" };
            text += &line(&format!("{}{oracle}{trusted}", escaped(arm)), cells);
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }

    /// The number of seeds of the cells: one number, or from the fewest to the most.
    fn seeds_line(&self) -> String {
        let cells =
            self.columns().flat_map(|c| self.arms.iter().map(|arm| self.cell(c, arm).count()));
        let counts: Vec<usize> = cells.filter(|&num| num > 0).collect();
        match (counts.iter().min(), counts.iter().max()) {
            (Some(few), Some(many)) if few == many => format!("{few} seeds"),
            (Some(few), Some(many)) => format!("{few} to {many} seeds"),
            _ => "no runs".into(),
        }
    }
}

fn cell(summary: &Summary, is_best: bool, is_close: bool) -> String {
    let mean = percent(summary.mean);
    let mean = match (is_best, is_close) {
        (true, _) => format!("\\mathbf{{{mean}}}"),
        (_, true) => format!("\\underline{{{mean}}}"),
        _ => mean,
    };
    let deviation = summary.deviation.map_or(String::new(), |d| format!(" \\pm {}", percent(d)));
    format!("${mean}{deviation}$")
}

fn line(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = std::iter::once(first.to_owned()).chain(cells).collect();
    // A bracket after the `\\\\` of the line before would be its argument.
    let guard = if first.starts_with(['[', '*']) { "{}" } else { "" };
    format!("{guard}{} \\\\\n", cells.join(" & "))
}

/// Text in which nothing is a command.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '`' => out += "'",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', char]),
            '|' => out += "\\textbar{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::table::tests::run;

    #[test]
    fn a_tabular_as_a_whole() {
        let mut known = run("forward", 1, 0.95);
        known.1.tags = vec![ORACLE.into()];
        let mut trusting = run("gold", 1, 0.94);
        trusting.1.tags = vec![TRUSTED.into()];
        let runs = [
            run("pe_mm", 1, 0.81),
            run("pe_mm", 2, 0.83),
            run("s&ce", 1, 0.82),
            run("s&ce", 2, 0.81),
            known,
            trusting,
        ];
        let text = Table::of(&runs, &[]).unwrap().latex(&[Judge::Last]);
        let part = "% Last epoch, 1 to 2 seeds
\\begin{tabular}{lr}
\\toprule
 & symmetric 0.4 \\\\
\\midrule
pe\\_mm & $\\mathbf{82.00} \\pm 1.41$ \\\\
s\\&ce & $\\underline{81.50} \\pm 0.71$ \\\\
forward$^\\dagger$ & $95.00$ \\\\
gold$^{t}$ & $94.00$ \\\\
\\bottomrule
\\end{tabular}
";
        assert!(text.ends_with(part), "{text}");
        assert!(text.contains("% Dagger") && text.contains("% t: used which"), "{text}");
    }

    #[test]
    fn nothing_of_a_name_is_a_command() {
        let text = "50% of \\input{x}_$^~#&\n";
        let safe = "50\\% of \\textbackslash{}input\\{x\\}\\_\\$\\textasciicircum{}\
                    \\textasciitilde{}\\#\\& ";
        assert_eq!(escaped(text), safe);
        assert_eq!(escaped("a|<\u{1b}>"), "a\\textbar{}\\textless{} \\textgreater{}");
        assert_eq!(line("[1em] a", std::iter::empty()), "{}[1em] a \\\\\n");
    }
}
