//! The training samples whose given label the model doubts most.

use pemm_runs::outputs::Doubt;
use pemm_runs::{Outputs, Record};

use crate::image::png;
use crate::report::{Sample, Section};

/// Samples on the page.
const SHOWN: usize = 24;

/// How many training samples the model gives another class than their label.
pub(super) fn disputed(outputs: &Outputs) -> usize {
    outputs.train.doubts(&outputs.given).iter().filter(|doubt| doubt.score > 0.0).count()
}

/// The gallery that the run stored.
pub(super) fn gallery(record: &Record, outputs: &Outputs) -> Section {
    let mut section = Section::new("doubts", "Which samples look mislabelled?");
    let gallery = &outputs.gallery;
    if gallery.samples.is_empty() {
        return section;
    }
    let name = |class: u32| record.data.classes[class as usize].clone();
    let doubts = outputs.train.doubts(&outputs.given);
    let [height, width, channels] = gallery.shape;
    let size = height * width * channels;
    let is_disputed = |doubt: &&Doubt| doubt.score > 0.0;
    for (place, &sample) in gallery.samples.iter().enumerate().take(SHOWN) {
        let doubt = doubts.iter().filter(is_disputed).find(|doubt| doubt.sample == sample);
        let Some(doubt) = doubt else { continue };
        let pixels = gallery.pixels.get(place * size..(place + 1) * size).filter(|_| size > 0);
        section.samples.push(Sample {
            image: pixels.and_then(|pixels| png(pixels, gallery.shape)),
            name: gallery.names[place].clone(),
            given: name(doubt.given),
            suggestion: name(doubt.suggestion),
            score: doubt.score.into(),
            clean: outputs.clean.as_ref().map(|clean| name(clean[sample as usize])),
        });
    }
    let disagrees = disputed(outputs);
    let shown = match section.samples.len() {
        0 => String::new(),
        shown => format!(
            " Here are the {shown} of them of which it is surest. The score is the probability of the \
             suggestion minus that of the given label."
        ),
    };
    section.text.push(format!(
        "The model gives another class than the label to {disagrees} of {} training samples.{shown} \
         It was trained on these very labels and may have learned some of the wrong ones by heart; \
         pemm audit judges each sample by models that never saw it, and finds more.",
        doubts.len(),
    ));
    if let Some(clean) = outputs.clean.as_ref().filter(|_| !section.samples.is_empty()) {
        let right = |doubt: &&Doubt| {
            let clean = clean[doubt.sample as usize];
            clean != doubt.given && clean == doubt.suggestion
        };
        let shown = &doubts[..section.samples.len().min(doubts.len())];
        section.text.push(format!(
            "Clean labels are known here: {} of those shown are mislabelled, and {} of the \
             suggestions are right.",
            shown.iter().filter(|doubt| clean[doubt.sample as usize] != doubt.given).count(),
            shown.iter().filter(right).count()
        ));
    }
    section
}
