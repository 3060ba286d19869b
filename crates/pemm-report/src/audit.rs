//! The report on an audit of labels: how many are wrong, which classes are confused, and the samples
//! that are doubted most.

use pemm_audit::Summary;
use pemm_audit::judge::Verdict;
use pemm_runs::outputs::Gallery;

use crate::chart::{Data, HeatMap};
use crate::image::png;
use crate::report::{Report, Sample, Section, Table, Tile};

/// Confused pairs that are listed.
const CONFUSED: usize = 20;

/// A sample of the gallery.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubted {
    /// Given label.
    pub given: u32,
    /// Suggested label.
    pub suggested: u32,
    /// Score, 0 to 1.
    pub score: f64,
}

/// The report.
///
/// # Shapes
/// `doubted` has one entry per sample of `gallery`, most doubtful first.
pub fn report(
    title: impl Into<String>,
    lead: impl Into<String>,
    classes: &[String],
    summary: &Summary,
    gallery: &Gallery,
    doubted: &[Doubted],
) -> Report {
    let sections = vec![
        samples(classes, summary, gallery, doubted),
        confusions(classes, summary),
        rates(summary),
    ];
    Report {
        title: title.into(),
        lead: lead.into(),
        tiles: tiles(summary),
        sections: sections.into_iter().filter(|section| !section.is_empty()).collect(),
        num_colors: classes.len(),
        ..Report::default()
    }
}

/// A page of samples for a person to look at, in the order of the list that they fill in. It does not say
/// what the models think of them: that would be repeated.
///
/// # Shapes
/// `given` has one entry per sample of `gallery`.
pub fn to_check(
    title: impl Into<String>,
    list: &str,
    classes: &[String],
    gallery: &Gallery,
    given: &[u32],
) -> Report {
    let mut section = Section::new("samples", "Are these labels right?");
    section.text.push(format!(
        "For each sample, write the right label into the column label of {list}, also where the given \
         label is right. Leave it blank where you cannot tell. The samples were drawn at random: with \
         --checked {list} the audit then knows how many of all labels are wrong."
    ));
    for (place, (sample, &class)) in gallery.names.iter().zip(given).enumerate() {
        section.samples.push(Sample {
            image: picture(gallery, place),
            name: sample.clone(),
            given: classes[class as usize].clone(),
            ..Sample::default()
        });
    }
    Report {
        title: title.into(),
        sections: vec![section],
        num_colors: classes.len(),
        ..Report::default()
    }
}

/// The image of a sample of the gallery as PNG, if samples are images.
fn picture(gallery: &Gallery, place: usize) -> Option<Vec<u8>> {
    let [height, width, channels] = gallery.shape;
    let size = height * width * channels;
    let pixels = gallery.pixels.get(place * size..(place + 1) * size).filter(|_| size > 0);
    pixels.and_then(|pixels| png(pixels, gallery.shape))
}

fn share(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn tiles(summary: &Summary) -> Vec<Tile> {
    let (value, note) = match &summary.noise_rate {
        Some(rate) => {
            let doubt =
                if rate.is_doubtful { "; doubtful, the methods contradict each other" } else { "" };
            let interval = format!("95 % interval {} to {}", share(rate.low), share(rate.high));
            (share(rate.estimate), format!("{interval}{doubt}"))
        }
        None => {
            let reason = summary.judgement.reason.clone().unwrap_or_default();
            ("cannot be told".into(), reason)
        }
    };
    vec![
        Tile { label: "Labels thought to be wrong".into(), value, note, is_oracle: false },
        Tile {
            label: "Issues".into(),
            value: summary.num_issues.to_string(),
            note: format!("the most doubtful of {} samples", summary.num_samples),
            is_oracle: false,
        },
    ]
}

fn samples(
    classes: &[String],
    summary: &Summary,
    gallery: &Gallery,
    doubted: &[Doubted],
) -> Section {
    let mut section = Section::new("doubts", "Which labels are doubted most?");
    let name = |class: u32| classes[class as usize].clone();
    for (place, (sample, doubted)) in gallery.names.iter().zip(doubted).enumerate() {
        section.samples.push(Sample {
            image: picture(gallery, place),
            name: sample.clone(),
            given: name(doubted.given),
            suggestion: name(doubted.suggested),
            score: doubted.score,
            clean: None,
        });
    }
    let names: Vec<String> =
        unjudged(summary).map(|(class, why)| format!("{} ({why})", name(class))).collect();
    if !names.is_empty() {
        section.text.push(format!(
            "Not checked: {}. These labels may be right or wrong; no issue is listed for them.",
            names.join(", ")
        ));
    }
    if !section.samples.is_empty() {
        let (num_shown, num_issues) = (section.samples.len(), summary.num_issues);
        section.text.push(if num_shown <= num_issues {
            format!("{num_shown} of the {num_issues} issues, the most doubtful first.")
        } else {
            format!(
                "The {num_issues} issues come first. The samples after them are a little less \
                 doubtful; they show where the issues end."
            )
        });
        section.text.push(
            "The score gives the order and is not a probability. The probability that a label is \
             wrong is in the column posterior of label_issues.csv, which lists all samples."
                .into(),
        );
    }
    section
}

/// Classes that the models know too little of to check them, and why.
fn unjudged(summary: &Summary) -> impl Iterator<Item = (u32, &'static str)> {
    let is_partial = summary.judgement.verdict == Verdict::NotTheseClasses;
    let unjudged = summary.judgement.unjudged.iter().filter(move |_| is_partial);
    unjudged.map(|&(class, why)| (class, why.reason()))
}

fn confusions(classes: &[String], summary: &Summary) -> Section {
    let mut section = Section::new("confusions", "Which classes are confused?");
    let in_percent =
        summary.transition.iter().map(|row| row.iter().map(|t| 100.0 * t).collect()).collect();
    section.figures.push(
        HeatMap::new("transition", "Given labels of each true class, %", classes, in_percent)
            .axes("true class", "given label")
            .unit(" %", 0)
            .range(0.0, 100.0)
            .description(
                "Each row says which labels the samples of a class are thought to be given.",
            )
            .figure(),
    );
    let mut pairs = Data::new(["given", "suggested", "issues"]);
    for confusion in summary.confusions.iter().take(CONFUSED) {
        pairs.row([
            classes[confusion.given as usize].clone(),
            classes[confusion.suggested as usize].clone(),
            confusion.count.to_string(),
        ]);
    }
    let mut counts =
        Data::new(["class", "given", "issues among them", "issues that suggest it", "checked"]);
    for (number, (class, of_class)) in classes.iter().zip(&summary.classes).enumerate() {
        let why = unjudged(summary).find(|&(unjudged, _)| unjudged as usize == number);
        counts.row([
            class.clone(),
            of_class.num_given.to_string(),
            of_class.num_issues.to_string(),
            of_class.num_suggested.to_string(),
            why.map_or("yes".into(), |(_, why)| format!("no: {why}")),
        ]);
    }
    let table = |name: &str, caption: &str, data| Table {
        name: name.into(),
        caption: caption.into(),
        data,
    };
    section.tables.push(table("confusions", "Pairs among the issues", pairs));
    section.tables.push(table("classes", "Classes", counts));
    section
}

fn rates(summary: &Summary) -> Section {
    let mut section = Section::new("rate", "How many labels are wrong?");
    let Some(rate) = &summary.noise_rate else { return section };
    section.text.push(
        match rate.is_by_hand() {
            true => {
                "The estimate is what you found among the samples that you checked, made more exact by \
                 what the models say of the others. The other methods are for comparison."
            }
            false => {
                "The estimate is that of a model of wrong labels and of the classifier's own mistakes, \
                 fitted together. The other methods are for comparison; some of them count the \
                 classifier's mistakes as wrong labels."
            }
        }
        .into(),
    );
    let mut data = Data::new(["method", "wrong labels", "within the interval"]);
    for method in &rate.methods {
        let agrees = if method.agrees { "yes" } else { "no" };
        data.row([method.name.clone(), share(method.estimate), agrees.to_owned()]);
    }
    let caption = "What each method says".into();
    section.tables.push(Table { name: "noise-rate".into(), caption, data });
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_text_and_every_part_is_there() {
        let hostile = "<script>alert(1)</script>";
        let classes = [hostile.to_owned(), "dog".into()];
        // 200 samples of two classes that a good model knows, every tenth label wrong.
        let given: Vec<u32> = (0..200).map(|i| (i + u32::from(i % 20 == 7)) % 2).collect();
        let probabilities: Vec<f32> =
            (0..200).flat_map(|i| if i % 2 == 0 { [0.95, 0.05] } else { [0.04, 0.96] }).collect();
        let arrays = pemm_audit::Arrays {
            num_classes: 2,
            given: &given,
            probabilities: &probabilities,
            ..Default::default()
        };
        let audit = pemm_audit::audit(&pemm_audit::Samples::new(arrays).unwrap());
        let gallery = Gallery {
            samples: vec![2],
            names: vec![hostile.into()],
            shape: [1, 1, 3],
            pixels: vec![1, 2, 3],
        };
        let doubted = [Doubted { given: 0, suggested: 1, score: 0.9 }];
        let report = report("audit", "", &classes, &audit.summary, &gallery, &doubted);
        assert!(report.sections[0].samples[0].image.is_some());
        let page = report.html();
        assert!(!page.contains(hostile));
        let few = format!("1 of the {} issues", audit.summary.num_issues);
        for part in
            ["Labels thought to be wrong", "certain contradicted", "issues that suggest it", &few]
        {
            assert!(page.contains(part), "{part}");
        }
    }
}
