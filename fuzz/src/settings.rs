//! What people write to say what they want: experiments, grids, and `--set`.

use pemm_data::Shape;
use pemm_experiment::facts::{DataFacts, Parts};
use pemm_experiment::grid::Grid;
use pemm_experiment::{Experiment, Layer};

use crate::{MIB, Target};

/// A text becomes tables of many times its size.
const MAX_BYTES: usize = 512 * MIB;

pub(crate) const TARGETS: [Target; 4] = [
    Target { name: "experiment", seeds: experiments, read: read_experiment, max_bytes: MAX_BYTES },
    Target { name: "resolved", seeds: resolved, read: read_resolved, max_bytes: MAX_BYTES },
    Target { name: "grid", seeds: grids, read: read_grid, max_bytes: MAX_BYTES },
    Target { name: "set", seeds: assignments, read: read_assignment, max_bytes: MAX_BYTES },
];

pub(crate) fn facts(vectors: bool) -> DataFacts {
    DataFacts {
        shape: Shape { channels: 1, height: if vectors { 1 } else { 8 }, width: 8 },
        vectors,
        num_classes: 10,
        parts: Some(Parts { num_train: 100, has_val: true }),
    }
}

fn resolve(experiment: &Experiment) {
    for vectors in [false, true] {
        if let Ok(plan) = experiment.clone().resolve(facts(vectors)) {
            let text = plan.text();
            Experiment::from_resolved("again", &text).expect("what was written can be read");
        }
    }
}

fn experiments() -> Vec<Vec<u8>> {
    [
        "preset = \"ce\"\nseed = 3\narm = \"x\"\n[data]\npath = \"digits\"\nresize = [8, 8]\n",
        "noise = { kind = \"symmetric\", rate = 0.4 }\nmodel = { backbone = \"cnn8\", width = 4 }\n",
        "[loss]\nname = \"gce\"\nq = 0.7\n[schedule]\nnum_epochs = 2\nkind = \"step\"\n\
         milestones = [1]\n",
        "[loss.energy]\nlambda = 1e-3\nstart = \"rest\"\n[objective]\nkind = \"co-teaching\"\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn read_experiment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let experiment = Layer::from_text("x.toml", text).and_then(|layer| {
        let base = Layer::from_assignment("optim.nesterov=true")?;
        Experiment::from_layers(&[base, layer])
    });
    if let Ok(experiment) = experiment {
        resolve(&experiment);
    }
}

fn resolved() -> Vec<Vec<u8>> {
    let experiment = Experiment::from_layers(&[]).expect("the built-in default is right");
    let plan = experiment.resolve(facts(false)).expect("the built-in default is right");
    vec![plan.text().into_bytes()]
}

fn read_resolved(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(experiment) = Experiment::from_resolved("experiment.toml", text) {
        resolve(&experiment);
    }
}

fn grids() -> Vec<Vec<u8>> {
    [
        "[base]\ndata.path = \"digits\"\n[[axis]]\nkey = \"preset\"\nvalues = [\"ce\", \"pemm\"]\n\
         [[axis]]\nkey = \"seed\"\nvalues = [1, 2]\n",
        "[base]\nseed = 1\n[[axis]]\npoints = [{ optim.learning_rate = 0.1 }, { arm = \"b\" }]\n\
         [expects]\nshape = [1, 8, 8]\nnum_classes = 10\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn read_grid(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Grid::is_grid(text);
    if let Ok(grid) = Grid::parse("grid.toml", text) {
        let facts = grid.expects.as_ref().map_or(facts(false), |expects| expects.facts());
        let _ = grid.resolve(facts);
    }
}

fn assignments() -> Vec<Vec<u8>> {
    ["optim.learning_rate=0.05", "loss.name = \"gce\"", "data.resize=[3,4]", "loss.energy.u=\"x\""]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

fn read_assignment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let experiment = Layer::from_assignment(text)
        .and_then(|layer| Experiment::from_layers(std::slice::from_ref(&layer)));
    if let Ok(experiment) = experiment {
        resolve(&experiment);
    }
}
