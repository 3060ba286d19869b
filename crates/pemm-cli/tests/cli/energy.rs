//! Pictures of the energy.

use crate::place::Place;

#[test]
fn curve_and_comparison() {
    let place = Place::new();
    let said = place.pemm("energy curve --json").ok();
    assert_eq!(said.json_lines()[0]["r0"], 0.75);
    place.pemm("energy compare").ok().says(&["r0 0.75", "written: energy/energy-compare.svg"]);
    let names =
        ["energy-compare.csv", "energy-compare.svg", "energy-curve.csv", "energy-curve.svg"];
    assert_eq!(place.names("energy"), names);
    assert!(place.text("energy/energy-curve.svg").starts_with("<svg"));
    assert!(place.text("energy/energy-curve.csv").starts_with("distance r,"));
}

#[test]
fn points_settle_at_equal_distances_and_the_seed_makes_every_byte() {
    let place = Place::new();
    let said = place.pemm("energy settle -k 3 -d 3 --out a --json").ok();
    let value = &said.json_lines()[0];
    assert_eq!((&value["at_rest"], &value["points"]), (&true.into(), &3.into()));
    for key in ["min_distance", "mean_distance", "max_distance"] {
        assert!((value[key].as_f64().unwrap() - 0.45).abs() < 3e-5, "{value}");
    }
    let names = place.names("a");
    assert_eq!(
        names,
        [
            "settle-distances.svg",
            "settle-energy.svg",
            "settle-positions.csv",
            "settle-strip.svg",
            "settle-sum.svg",
            "settle.csv",
            "settle.svg"
        ]
    );
    let steps = place.text("a/settle.csv").lines().count() - 2;
    assert_eq!(value["steps"], steps);
    place.pemm("energy settle -k 3 -d 3 --out b --threads 1").ok();
    place.pemm("energy settle -k 3 -d 3 --out c --seed 2").ok();
    for name in &names {
        assert!(place.read(&format!("a/{name}")) == place.read(&format!("b/{name}")), "{name}");
    }
    assert!(place.read("a/settle.csv") != place.read("c/settle.csv"));
}

#[test]
fn nothing_is_replaced_unasked() {
    let place = Place::new();
    place.write("energy/energy-curve.csv", "mine");
    let parts = ["energy-curve.csv: is there already", "--force"];
    place.pemm("energy curve").fails(2, &parts);
    assert_eq!(place.names("energy"), ["energy-curve.csv"]);
    assert_eq!(place.text("energy/energy-curve.csv"), "mine");
    place.pemm("energy curve --force").ok();
    assert_ne!(place.text("energy/energy-curve.csv"), "mine");
    place.write("full/settle-sum.svg", "");
    place.pemm("energy settle -k 2 --out full").fails(2, &["settle-sum.svg: is there already"]);
    assert_eq!(place.names("full"), ["settle-sum.svg"]);
}

#[test]
fn values_out_of_range_are_named() {
    let place = Place::new();
    let cases = [
        ("curve -u 2", "--u: must be above v = 2 and at most 64, is 2"),
        ("curve --xi 0", "--xi: must be above 0"),
        ("compare --beta=-1", "--beta: must be 0 or more"),
        ("settle -k 1", "--points: must be from 2 to 1000, is 1"),
        ("settle -k 1001", "--points: must be from 2 to 1000, is 1001"),
        ("settle -d 1", "--dimensions: must be from 2 to 1024, is 1"),
        ("settle --steps 0", "--steps: must be from 1 to 100000, is 0"),
        ("settle -u 64 -v 63 --xi 1e-9 --beta 0", "--xi: with these powers"),
    ];
    for (line, part) in cases {
        place.pemm(&format!("energy {line}")).fails(2, &[part]);
    }
    assert!(place.names("").is_empty());
}
