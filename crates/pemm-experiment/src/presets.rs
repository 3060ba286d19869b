//! The presets: methods with their constants, each a file of experiment keys.

/// The preset of an experiment that names none.
pub const DEFAULT: &str = "pemm";

/// The presets by name, each with its text, in the order in which they are listed.
pub const PRESETS: &[(&str, &str)] = &[
    ("pemm", include_str!("../presets/pemm.toml")),
    ("paper", include_str!("../presets/paper.toml")),
    ("paper-tables", include_str!("../presets/paper-tables.toml")),
    ("paper-unit", include_str!("../presets/paper-unit.toml")),
    ("authors", include_str!("../presets/authors.toml")),
    ("sce", include_str!("../presets/sce.toml")),
    ("ce", include_str!("../presets/ce.toml")),
    ("mae", include_str!("../presets/mae.toml")),
    ("gce", include_str!("../presets/gce.toml")),
    ("nce-rce", include_str!("../presets/nce-rce.toml")),
    ("bootstrap-soft", include_str!("../presets/bootstrap-soft.toml")),
    ("bootstrap-hard", include_str!("../presets/bootstrap-hard.toml")),
    ("forward", include_str!("../presets/forward.toml")),
    ("forward-estimated", include_str!("../presets/forward-estimated.toml")),
    ("backward", include_str!("../presets/backward.toml")),
    ("backward-estimated", include_str!("../presets/backward-estimated.toml")),
    ("phuber", include_str!("../presets/phuber.toml")),
    ("cosface", include_str!("../presets/cosface.toml")),
    ("arcface", include_str!("../presets/arcface.toml")),
    ("label-smoothing", include_str!("../presets/label-smoothing.toml")),
    ("ce-early", include_str!("../presets/ce-early.toml")),
    ("elr", include_str!("../presets/elr.toml")),
    ("mixup", include_str!("../presets/mixup.toml")),
    ("pemm-reweight", include_str!("../presets/pemm-reweight.toml")),
    ("mentor-net", include_str!("../presets/mentor-net.toml")),
    ("self-paced", include_str!("../presets/self-paced.toml")),
    ("iterative", include_str!("../presets/iterative.toml")),
    ("trusted-weight", include_str!("../presets/trusted-weight.toml")),
    ("gold", include_str!("../presets/gold.toml")),
    ("distill", include_str!("../presets/distill.toml")),
    ("co-teaching", include_str!("../presets/co-teaching.toml")),
    ("decoupling", include_str!("../presets/decoupling.toml")),
    ("divide-mix", include_str!("../presets/divide-mix.toml")),
    ("audit", include_str!("../presets/audit.toml")),
];
