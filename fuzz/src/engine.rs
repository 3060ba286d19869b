//! Weights and states of runs, which need the tensor engine.

use std::sync::OnceLock;

use pemm::checkpoint::State;
use pemm::device;
use pemm::finished::{Trained, Weights};
use pemm::tensors::{from_safetensors, to_safetensors};
use pemm::train::{RunOptions, run};
use pemm_data::config::DataConfig;
use pemm_data::source::open;
use pemm_experiment::{Experiment, Layer};
use pemm_runs::Record;
use pemm_runs::folder::{LAST, STATE};
use serde_json::Value;

use crate::runs::run_folder;
use crate::{MIB, Target, place};

/// The values once more as a model, and what it predicts.
const MAX_BYTES: usize = 256 * MIB;

pub(crate) const TARGETS: [Target; 2] = [
    Target { name: "state", seeds: states, read: read_state, max_bytes: MAX_BYTES },
    Target { name: "weights", seeds: weights, read: read_weights, max_bytes: MAX_BYTES },
];

const POINTS: &[u8] = b"x,y,label\n0,1,a\n1,0,b\n0,2,a\n2,0,b\n1,3,a\n3,1,b\n0,4,a\n4,1,b\n";

/// What a run of an epoch left.
struct Run {
    record: Record,
    state: Vec<u8>,
    last: Vec<u8>,
}

fn trained() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = place::folder("engine");
        let path = place::write(&folder, "points.csv", POINTS);
        let data = format!("data.path={}", path.display());
        let settings =
            [data.as_str(), "model.backbone=mlp", "model.width=2", "schedule.num_epochs=1"];
        let layers =
            settings.map(|text| Layer::from_assignment(text).expect("keys that there are"));
        let experiment = Experiment::from_layers(&layers).expect("values that go together");
        let out = folder.join("run");
        let options = RunOptions {
            out: &out,
            device: "cpu",
            git: None,
            cancel: &Default::default(),
            embedding: Default::default(),
        };
        let outcome = run(&experiment, &options, &mut |_| {}).expect("it trains on anything");
        let read = |name: &str| std::fs::read(out.join(name)).expect("a run leaves it");
        Run { record: outcome.record, state: read(STATE), last: read(LAST) }
    })
}

/// `file`, and the same as a pemm of before there were checksums wrote it, of which more is read.
fn with_unbound(file: &[u8]) -> Vec<Vec<u8>> {
    let (tensors, text) = from_safetensors(file, "file").expect("it was just written");
    let mut card: Value = serde_json::from_str(&text).expect("it was just written");
    card.as_object_mut().expect("a card has keys").remove("run");
    if let Some(schema) = card.get_mut("schema") {
        *schema = 1.into();
    }
    vec![to_safetensors(&tensors, &card.to_string()), file.to_vec()]
}

fn states() -> Vec<Vec<u8>> {
    with_unbound(&trained().state)
}

fn read_state(bytes: &[u8]) {
    let _ = State::read(&run_folder("state", STATE, bytes), &trained().record);
}

fn weights() -> Vec<Vec<u8>> {
    with_unbound(&trained().last)
}

fn read_weights(bytes: &[u8]) {
    let device = device::open("cpu").expect("there is always a processor");
    let folder = run_folder("weights", LAST, bytes);
    let Ok(trained) = Trained::open(&folder, Weights::Last, &device) else { return };
    let path = place::write(&place::folder("weights"), "points.csv", POINTS);
    let path = path.to_str().expect("temporary folders have plain names").to_owned();
    let set = open(&DataConfig { path, ..DataConfig::default() }).expect("the points are right");
    if set.train.shape == trained.card.shape {
        let _ = trained.predict(set.train, &mut |_| {});
    }
}
