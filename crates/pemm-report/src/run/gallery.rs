//! The training samples whose given label the model doubts most.

use pemm_runs::{Outputs, Record};

use crate::image::png;
use crate::report::{Sample, Section};

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
    for (place, &sample) in gallery.samples.iter().enumerate() {
        let Some(doubt) = doubts.iter().find(|doubt| doubt.sample == sample) else { continue };
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
    let disagrees = doubts.iter().filter(|doubt| doubt.score > 0.0).count();
    section.text.push(format!(
        "The model disagrees with the label of {disagrees} of {} training samples; these are the \
         {} that it doubts most. The score is the probability of the suggestion minus that of the \
         given label, by a model that was trained on these very labels: what it memorised it does \
         not doubt. pemm audit judges each sample by models that never saw it.",
        doubts.len(),
        section.samples.len()
    ));
    if let Some(clean) = &outputs.clean {
        let right = |doubt: &&pemm_runs::outputs::Doubt| {
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
