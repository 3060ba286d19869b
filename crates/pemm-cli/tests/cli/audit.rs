//! `pemm audit`: from data to a list of doubtful labels and back into training.

use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use crate::place::{Place, QUICK};

const AUDIT: &str = "audit data.csv --folds 3 --noise symmetric:0.2";

fn place() -> Place {
    let place = Place::new();
    place.features("data.csv", 90);
    place
}

#[test]
fn from_data_to_issues_and_back_into_training() {
    let place = place();
    let line = format!("{AUDIT} {QUICK} --out a --keep-outputs --write-labels cleaned.csv");
    let said = place.pemm(&line).ok();
    said.says(&["of the labels are wrong", "wrote a/label_issues.csv", "wrote cleaned.csv"]);
    assert!(said.err.contains("3 folds of 60 training and 30 held-out samples"), "{said}");
    let issues = place.text("a/label_issues.csv");
    let rows: Vec<Vec<&str>> = issues.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..6], ["index", "given", "suggested", "score", "is_issue", "rank"]);
    assert_eq!(rows.len(), 91);
    let scores: Vec<f64> = rows[1..].iter().map(|row| row[3].parse().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| (0.0..=1.0).contains(s)));
    assert!(rows[1..].iter().zip(1..).all(|(row, rank)| row[5] == rank.to_string()));
    assert!(rows[1..].iter().all(|row| row[4] == "false" || row[1] != row[2]));
    let json = place.json("a/audit.json");
    assert_eq!((&json["schema"], &json["origin"]), (&2.into(), &"out-of-sample".into()));
    assert_eq!(json["transition"].as_array().unwrap().len(), 3);
    assert_eq!(json["experiment"]["preset"], "audit");

    // The very same audit again: nothing is trained, and the files are as they were.
    let again = place.pemm(&line.replace(" --write-labels cleaned.csv", "")).ok();
    assert!(!again.err.contains("images/s"), "{again}");
    assert_eq!(place.text("a/label_issues.csv"), issues);

    // Its own outputs as probabilities from elsewhere say the same of the same labels.
    let probs = "--probs a/probabilities.npy --features a/features.npy --out b";
    place.pemm(&format!("audit data.csv --noise symmetric:0.2 {probs}")).ok();
    assert_eq!(place.json("b/audit.json")["labels_sha256"], json["labels_sha256"]);
    assert_eq!(place.json("b/audit.json")["origin"], "probabilities");

    place.pemm(&format!("train data.csv --labels cleaned.csv {QUICK} --out t")).ok();
    for how in ["weight", "drop", "correct"] {
        let file = format!("{how}.csv");
        place
            .pemm(
                &format!("{line} --force --write-anyway --how {how}").replace("cleaned.csv", &file),
            )
            .ok();
        assert_eq!(place.text(&file).lines().count(), 91, "{how} keeps every sample");
        let train = format!("train data.csv --labels {file} {QUICK}");
        place.pemm(&format!("{train} --out t-{how}")).ok();
    }
    // In-sample, and said so.
    let said = place.pemm("audit t --out c").ok();
    assert!(said.err.contains("was trained on these labels"), "{said}");
    assert_eq!(place.json("c/audit.json")["origin"], "in-sample");
}

#[test]
fn mistakes_are_named_and_nothing_is_overwritten() {
    let place = place();
    let probs = |text: &str| place.write("p.csv", text);
    let audit = || place.pemm("audit data.csv --probs p.csv --out a");
    probs("0.5,0.3,0.2\n");
    audit().fails(2, &["--probs: p.csv: 1 rows, but there are 90 training samples"]);
    probs(&"0.5,0.5\n".repeat(90));
    audit().fails(2, &["2 columns, but there are 3 classes (a, b, c)"]);
    probs(&("0.5,0.3,0.2\n".repeat(89) + "0.5,0.3,0.1\n"));
    audit().fails(2, &["sample 89: the probabilities sum to 0.9000, not to 1"]);
    probs(&("0.5,NaN,0.2\n".to_owned() + &"0.5,0.3,0.2\n".repeat(89)));
    audit().fails(2, &["sample 0: class 1 has NaN"]);
    probs(&("a,b,z\n".to_owned() + &"0.5,0.3,0.2\n".repeat(90)));
    audit().fails(2, &["no column is named \"c\"; found a, b, z"]);
    place.pemm("audit --probs p.csv").fails(2, &["name the DATA that it belongs to"]);
    place.write("labels.csv", "label\n0\n3\n");
    probs("0.5,0.3,0.2\n0.5,0.3,0.2\n");
    let said = place.pemm("audit --probs p.csv --labels labels.csv");
    said.fails(1, &["line 3: label 3 is not in 0 to 2"]);
    place.pemm("audit data.csv --folds 31").fails(2, &["have fewer samples than the 31 folds"]);
    place.pemm("audit data.csv --folds 1").fails(2, &["--folds: must be at least 2, is 1"]);
    let patience = "audit data.csv --set schedule.patience=2";
    place.pemm(patience).fails(2, &["schedule.patience: would end a fold"]);

    place.write("labels.csv", "label\n0\n2\n");
    place.pemm("audit --probs p.csv --labels labels.csv --out a").ok();
    probs("0.1,0.7,0.2\n0.5,0.3,0.2\n");
    let other = "audit --probs p.csv --labels labels.csv --out a";
    place.pemm(other).fails(2, &["holds another audit; --force replaces it"]);
    let said = place.pemm(&format!("{other} --force")).ok();
    assert!(said.out.contains("the models cannot judge these labels"), "{said}");
    assert!(!said.out.contains("% to "), "no interval where the numbers mean little: {said}");
    assert!(place.json("a/audit.json")["noise_rate"].is_null());
    assert!(place.text("a/audit.html").contains("cannot be told"));
    let labels = format!("{other} --write-labels new.csv");
    let said = place.pemm(&labels);
    assert!(said.code == Some(1) && said.err.contains("new.csv was not written"), "{said}");
    assert!(said.err.contains("--write-anyway writes it"), "{said}");
    assert!(!place.exists("new.csv"));
    place.pemm(&format!("{labels} --write-anyway")).ok();
    assert!(place.exists("new.csv"));
    let nowhere = format!("{other} --write-labels nowhere/new.csv");
    place.pemm(&nowhere).fails(2, &["there is no folder nowhere"]);
    let itself = format!("{other} --write-labels labels.csv --force");
    place.pemm(&itself).fails(2, &["--write-labels: this file is read, too"]);
    let labels = format!("{other} --force --write-labels labels.csv");
    place.pemm(&labels.replace(" --force", "")).fails(2, &["labels.csv is there already"]);
}

#[test]
fn whoever_looks_at_a_random_sample_knows_how_many_are_wrong() {
    let place = place();
    place.pemm("noise data.csv --noise symmetric:0.4 -o noisy.csv").ok();
    let line = format!("audit data.csv --labels noisy.csv --folds 3 {QUICK} --out a");
    place.pemm(&format!("{line} --write-check look.csv --check-size 60")).ok();
    let page = place.text("look.html");
    assert!(page.contains("Are these labels right?") && !page.contains("suggested"));
    let list = place.text("look.csv");
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), &rows[0][..]), (61, &["index", "given", "label"][..]));
    assert!(rows[1..].iter().all(|row| row[2].is_empty()), "nothing is filled in");
    let again = format!("{line} --write-check look.csv");
    place.pemm(&again).fails(2, &["--write-check: look.csv is there already"]);
    let itself = format!("{line} --force --checked look.csv --write-check look.csv");
    place.pemm(&itself).fails(2, &["this file is read, too"]);
    place.pemm(&format!("{line} --checked no.csv")).fails(2, &["there is no file no.csv"]);
    place.pemm(&format!("{line} --checked look.csv")).fails(1, &["no sample has a label yet"]);

    let clean: Vec<String> = place
        .text("noisy.csv")
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap().to_owned())
        .collect();
    assert!(place.text("noisy.csv").starts_with("index,label,clean"));
    let mut filled = "index,label\n".to_owned();
    let mut num_wrong = 0;
    for row in &rows[1..] {
        let right = &clean[row[0].parse::<usize>().unwrap()];
        num_wrong += usize::from(right != row[1]);
        filled += &format!("{},{right}\n", row[0]);
    }
    place.write("looked.csv", filled);
    let checked = format!("{line} --force --checked looked.csv --write-labels new.csv");
    let said = place.pemm(&format!("{checked} --write-anyway")).ok();
    assert!(!said.err.contains("images/s"), "nothing is trained anew: {said}");
    let rate = &place.json("a/audit.json")["noise_rate"];
    let number = |key: &str| rate[key].as_f64().unwrap();
    assert!((number("estimate") - num_wrong as f64 / 60.0).abs() < 0.12, "{num_wrong}: {rate}");
    assert!(number("low") < 0.4 && number("high") > 0.4, "{rate}");
    let methods = rate["methods"].as_array().unwrap();
    assert!(methods.iter().any(|method| method["name"] == "checked by hand"), "{rate}");
    let labels = place.text("new.csv");
    for row in &rows[1..] {
        let right = &clean[row[0].parse::<usize>().unwrap()];
        let expected = format!("\n{},{right},1.000000,{},checked\n", row[0], row[1]);
        assert!(labels.contains(&expected), "{expected}");
    }
}

#[test]
fn columns_that_could_be_two_classes_are_asked_for() {
    let place = Place::new();
    let classes = ["c1", "c2", "c10"];
    let (mut labels, mut rows) = (String::from("path,label\n"), String::new());
    for sample in 0..60 {
        let class = sample % 3;
        labels += &format!("img{sample}.jpg,{}\n", classes[class]);
        let p = |column: usize| if column == class { "0.9" } else { "0.05" };
        rows += &format!("{},{},{}\n", p(0), p(1), p(2));
    }
    place.write("labels.csv", &labels);
    place.write("p.csv", &rows);
    let audit = "audit --labels labels.csv --probs p.csv --out a --force";
    place.pemm(audit).fails(1, &["(c1, c10, c2) or of counting (c1, c2, c10)", "--columns"]);
    let agreement = |more: &str| {
        place.pemm(&format!("{audit} {more}")).ok();
        place.json("a/audit.json")["agreement"].as_f64().unwrap()
    };
    assert_eq!(agreement("--columns c1,c2,c10"), 1.0);
    assert!(agreement("--columns c1,c10,c2") < 0.5);
    place
        .pemm(&format!("{audit} --columns c1,c2"))
        .fails(2, &["has 3 columns, but --columns names 2"]);
    place.write("p.csv", format!("c1,c2,c10\n{rows}"));
    assert_eq!(agreement(""), 1.0);
    place.pemm(&format!("{audit} --columns c1,c2,c10")).fails(2, &["has a header"]);
    place.write("p.csv", format!("c1,c2,c2\n{rows}"));
    place.pemm(audit).fails(2, &["two columns are named \"c2\""]);
    place.write("p.csv", rows.replace("\n", ",1\n").replacen("", ",c1,c2,c10\n", 1));
    place.pemm(audit).fails(2, &["column 1 has no name"]);

    // Ids that a table program wrote as floats, beside a header of floats in another order.
    let floats = classes.iter().enumerate().fold(labels, |text, (id, class)| {
        text.replace(&format!(",{class}\n"), &format!(",{id}.0\n"))
    });
    place.write("labels.csv", floats);
    place.write("p.csv", format!("0,1.0,2.0\n{rows}"));
    assert_eq!(agreement(""), 1.0);
}

#[test]
fn an_interrupted_audit_goes_on() {
    let place = Place::new();
    let line = "audit digits --folds 2 --noise symmetric:0.4 --set model.backbone=cnn8 \
                --set model.width=16 --set schedule.num_epochs=3";
    place.pemm(&format!("{line} --out whole")).ok();
    let mut child = place.command(&format!("{line} --out cut")).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("fold 1/2  epoch   1/3") {
        text.clear();
        assert!(said.read_line(&mut text).unwrap() > 0, "it never began");
    }
    assert!(text.contains(" left"), "{text}");
    let process = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    said.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
    assert!(text.contains("the same command with --out cut continues"), "{text}");
    assert!(!place.exists("cut/audit.json"));
    let again = place.pemm(&format!("{line} --out cut")).ok();
    assert!(again.err.contains("fold 1 continues after epoch"), "{again}");
    assert_eq!(place.read("cut/label_issues.csv"), place.read("whole/label_issues.csv"));
}

/// Folders 0 … 11: torchvision reads 10 before 2, pemm counts.
#[test]
fn rows_that_are_sorted_as_text_are_told_from_counted_ones() {
    const EACH: usize = 10;
    let place = Place::new();
    let mut folders: Vec<String> = (0..12).map(|class| class.to_string()).collect();
    for (class, folder) in folders.iter().enumerate() {
        for i in 0..EACH as u32 {
            place.png(&format!("numbers/{folder}/{i:02}.png"), [8, 8], [20 * class as u8; 3], i);
        }
    }
    let rows = |folders: &[String]| -> String {
        let row = |folder: &String| {
            let class: usize = folder.parse().unwrap();
            let cell = |k: usize| if k == class { "0.89" } else { "0.01" };
            let row = (0..12).map(cell).collect::<Vec<_>>().join(",") + "\n";
            row.repeat(EACH)
        };
        folders.iter().map(row).collect()
    };
    place.write("counting.csv", rows(&folders));
    folders.sort();
    place.write("text.csv", rows(&folders));
    let right = "about 0.0 % of the labels are wrong";
    place.pemm("audit numbers --probs counting.csv --out a").ok().says(&[right]);
    let refused = ["sorted by path as text", "agree with 100.0 %", "--rows text"];
    place.pemm("audit numbers --probs text.csv --out b").fails(2, &refused);
    place.pemm("audit numbers --probs text.csv --rows text --out b").ok().says(&[right]);
    let said = place.pemm("audit numbers --probs text.csv --rows counting --out c").ok();
    assert!(!said.out.contains(right), "{said}");
}
