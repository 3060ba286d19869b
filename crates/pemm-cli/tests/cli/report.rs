//! Reports, from the run to the page.

use crate::place::{Place, QUICK};

#[test]
fn a_run_leaves_a_page_and_the_command_makes_it_again() {
    let place = Place::new();
    let train = "train digits --noise symmetric:0.4 --set schedule.num_epochs=2 --out run";
    place.pemm(train).ok().says(&["report: run/report.html"]);
    let page = place.text("run/report.html");
    for part in ["id=\"tsne-test\"", "id=\"confusion\"", "id=\"center-plane\"", "data:image/png"] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(page.len() < 5_000_000);

    place.pemm("report run --points 100").ok().says(&["run/report.html"]);
    place.pemm("report run --points 100 --out page.html --quiet").ok();
    let message = "page.html is there already; --force replaces it";
    place.pemm("report run --out page.html").fails(2, &[message]);
    place.pemm("report run --points 100 --out page.html --force").ok();

    place.pemm("report run --points 100 --format csv --out numbers").ok();
    assert!(place.text("numbers/accuracy.csv").starts_with("epoch,\"training, given labels\""));
    place.pemm("report run --points 0 --format svg").ok().says(&["run/figures/confusion.svg"]);
    assert!(place.text("run/figures/confusion.svg").starts_with("<svg xmlns"));

    place.pemm("report run/record.json").fails(2, &["say with --out"]);
    place.pemm("report run/record.json --out bare.html").ok();
    assert!(place.text("bare.html").contains("stored no outputs"));
}

#[test]
fn outputs_come_later_where_they_were_not_stored() {
    let place = Place::new();
    place.images("data/train", 6);
    place.images("data/test", 4);
    let train = "train data --set schedule.num_epochs=1 --set model.width=16 --outputs off \
                 --no-report --seed";
    place.pemm(&format!("{train} 1 --out runs/one")).ok();
    place.pemm(&format!("{train} 2 --out runs/two")).ok();
    assert!(!place.exists("runs/one/outputs.safetensors"));
    assert!(!place.exists("runs/one/report.html"));
    place.pemm("report runs --outputs").ok().says(&["runs/report.html"]);
    assert!(place.exists("runs/one/outputs.safetensors"));
    let page = place.text("runs/report.html");
    assert!(page.contains("id=\"results\"") && page.contains("id=\"tsne-1\""));
    place.pemm("report data").fails(2, &["holds no run folder and no record"]);
}

#[test]
fn a_page_and_figures_of_the_user_are_not_replaced() {
    let place = Place::new();
    let train = format!("train digits {QUICK} --outputs off --out run");
    place.pemm(&train).ok();
    place.pemm("report run").ok();
    place.write("run/report.html", "my own");
    place.pemm("report run").fails(2, &["run/report.html was not made by `pemm report`"]);
    // Nor by a run that goes on there.
    std::fs::remove_file(place.path("run/record.json")).unwrap();
    let said = place.pemm(&train).ok();
    assert!(said.err.contains("no report: run/report.html was not made by pemm"), "{said}");
    assert_eq!(place.text("run/report.html"), "my own");
    place.pemm("report run --force").ok();
    assert!(place.text("run/report.html").contains("</html>"));

    place.write("run/figures/mine.svg", "my own");
    place.pemm("report run --format svg").fails(2, &["run/figures was not made by"]);
    assert_eq!(place.names("run/figures"), ["mine.svg"]);
    std::fs::remove_dir_all(place.path("run/figures")).unwrap();
    for _ in 0..2 {
        place.pemm("report run --format svg").ok();
    }
    assert!(place.names("run/figures").len() > 2);
}
