//! Fetches from a server on this machine that answers as its script says.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;

const QUICK: Patience = Patience { attempts: 3, pause: Duration::from_millis(1) };

/// What the server does with one connection.
enum Answer {
    /// 200 with the whole body, whatever was asked for.
    Whole(Vec<u8>),
    /// 200 that announces the whole body and stops after so many bytes.
    Cut(Vec<u8>, usize, &'static str),
    /// 206 with the range that was asked for, and this ETag.
    Range(Vec<u8>, &'static str),
    /// 200 without a length.
    Endless(Vec<u8>),
    /// A status line and nothing else.
    Status(&'static str),
}

impl Answer {
    fn bytes(&self, request: &str) -> Vec<u8> {
        let head = |status: &str, length: usize, more: &str| {
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
            )
        };
        let (head, body) = match self {
            Self::Whole(body) => (head("200 OK", body.len(), ""), &body[..]),
            Self::Cut(body, at, etag) => {
                let etag =
                    if etag.is_empty() { String::new() } else { format!("ETag: {etag}\r\n") };
                (head("200 OK", body.len(), &etag), &body[..*at])
            }
            Self::Range(body, etag) => {
                let from: usize = header(request, "range")
                    .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
                    .expect("a range was asked for");
                let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
                let more = format!("Content-Range: {range}\r\nETag: {etag}\r\n");
                (head("206 Partial Content", body.len() - from, &more), &body[from..])
            }
            Self::Endless(body) => {
                ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_string(), &body[..])
            }
            Self::Status(status) => (head(status, 0, ""), &[][..]),
        };
        [head.as_bytes(), body].concat()
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// A server that gives these answers in turn and then is gone.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/it", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let request: Vec<String> = BufReader::new(&stream)
                    .lines()
                    .map_while(|line| line.ok().filter(|line| !line.is_empty()))
                    .collect();
                let request = request.join("\n");
                let bytes = answer.bytes(&request);
                heard.lock().unwrap().push(request);
                // A client that has enough closes early.
                let _ = stream.write_all(&bytes);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn file(name: &'static str, address: &str, content: &[u8]) -> RemoteFile {
    let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    RemoteFile {
        name,
        address: leaked(address.into()),
        bytes: content.len() as u64,
        sha256: leaked(hash),
    }
}

fn entry(form: Form, folder: &'static str) -> Entry {
    Entry { name: "it", title: "", form, folder, licence: "", citation: "", note: "" }
}

/// One file, `it/it.gz`.
fn plain(address: &str, content: &[u8]) -> Entry {
    entry(Form::Files(Box::leak(Box::new([file("it.gz", address, content)]))), "it")
}

fn fetch_quick(entry: &Entry, folder: &Path) -> Result<PathBuf> {
    let cancel = AtomicBool::new(false);
    fetch_with(entry, folder, QUICK, &mut Watch { progress: &mut |_| {}, cancel: &cancel })
}

/// 200,000 bytes that do not repeat, so several pieces.
fn content() -> Vec<u8> {
    (0..50_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_comes_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Answer::Whole(content())]);
    let entry = plain(&server.address, &content());
    let mut heard = Vec::new();
    let cancel = AtomicBool::new(false);
    let mut progress = |progress: Progress<'_>| {
        assert_eq!((progress.file, progress.total), ("it.gz", 200_000));
        heard.push((progress.stage, progress.done));
    };
    let path = fetch(&entry, &home.path().join("new/data"), &mut progress, &cancel).unwrap();
    assert_eq!(path, home.path().join("new/data/it"));
    assert_eq!(fs::read(path.join("it.gz")).unwrap(), content());
    assert_eq!(names(&path), ["it.gz"]);
    assert!(heard.is_sorted_by_key(|(stage, done)| (*stage == Stage::Check, *done)), "{heard:?}");
    assert!(heard.contains(&(Stage::Download, 200_000)));
    assert_eq!(heard.last(), Some(&(Stage::Check, 200_000)));

    // The server is gone, and is not asked again.
    fetch_quick(&entry, &home.path().join("new/data")).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cut_connection_is_continued() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(vec![
        Answer::Cut(content(), 70_000, "\"one\""),
        Answer::Status("503 Service Unavailable"),
        Answer::Range(content(), "\"one\""),
    ]);
    let path = fetch_quick(&plain(&server.address, &content()), home.path()).unwrap();
    assert_eq!(fs::read(path.join("it.gz")).unwrap(), content());
    assert_eq!(names(&path), ["it.gz"]);
    let requests = server.requests();
    assert_eq!(header(&requests[0], "range"), None);
    assert_eq!(header(&requests[2], "range"), Some("bytes=70000-"));
    assert_eq!(header(&requests[2], "if-range"), Some("\"one\""));
}

#[test]
fn a_later_command_continues() {
    let home = tempfile::tempdir().unwrap();
    let first = Server::start(vec![Answer::Cut(content(), 70_000, "\"one\"")]);
    let cancel = AtomicBool::new(false);
    let mut watch =
        Watch { progress: &mut |_| cancel.store(true, Ordering::Relaxed), cancel: &cancel };
    let error = fetch_with(&plain(&first.address, &content()), home.path(), QUICK, &mut watch);
    match error.unwrap_err() {
        DataError::Io { source, .. } => assert_eq!(source.kind(), io::ErrorKind::Interrupted),
        other => panic!("{other}"),
    }
    assert_eq!(names(&home.path().join("it")), ["it.gz.part", "it.gz.part.etag"]);

    let second = Server::start(vec![Answer::Range(content(), "\"one\"")]);
    let path = fetch_quick(&plain(&second.address, &content()), home.path()).unwrap();
    assert_eq!(fs::read(path.join("it.gz")).unwrap(), content());
    let from = header(&second.requests()[0], "range").unwrap().to_string();
    assert_ne!(from, "bytes=0-");
}

#[test]
fn a_server_without_ranges_starts_from_nothing() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Answer::Cut(content(), 70_000, ""), Answer::Whole(content())]);
    let path = fetch_quick(&plain(&server.address, &content()), home.path()).unwrap();
    assert_eq!(fs::read(path.join("it.gz")).unwrap(), content());
    let second = &server.requests()[1];
    assert_eq!(header(second, "range"), Some("bytes=70000-"));
    assert_eq!(header(second, "if-range"), None);
}

#[test]
fn a_login_page_does_not_cost_the_part() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(vec![
        Answer::Cut(content(), 70_000, ""),
        Answer::Whole(b"<html>Please log in".to_vec()),
    ]);
    fetch_quick(&plain(&server.address, &content()), home.path()).unwrap_err();
    assert_eq!(fs::metadata(home.path().join("it/it.gz.part")).unwrap().len(), 70_000);
}

#[test]
fn another_version_is_never_appended() {
    let home = tempfile::tempdir().unwrap();
    let old = vec![0; 200_000];
    // A server that heeds If-Range answers 200; one that does not is caught by its ETag.
    let server = Server::start(vec![
        Answer::Cut(old, 70_000, "\"old\""),
        Answer::Range(content(), "\"new\""),
        Answer::Whole(content()),
    ]);
    let path = fetch_quick(&plain(&server.address, &content()), home.path()).unwrap();
    assert_eq!(fs::read(path.join("it.gz")).unwrap(), content());
    assert_eq!(header(&server.requests()[1], "if-range"), Some("\"old\""));
    assert_eq!(header(&server.requests()[2], "range"), None);
}

#[test]
fn a_wrong_hash_removes_the_part() {
    let home = tempfile::tempdir().unwrap();
    let mut other = content();
    other[150_000] ^= 1;
    let server = Server::start(vec![Answer::Whole(other.clone())]);
    let entry = plain(&server.address, &content());
    let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
    assert!(message.contains(entry.files()[0].sha256), "{message}");
    assert!(message.contains(file("", "", &other).sha256), "{message}");
    assert_eq!(names(&home.path().join("it")), [""; 0]);

    // A wrong file that somebody put there is told, and stays.
    fs::write(home.path().join("it/it.gz"), "mine").unwrap();
    let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
    assert!(message.contains("move it away"), "{message}");
    assert_eq!(fs::read(home.path().join("it/it.gz")).unwrap(), b"mine");
}

#[test]
fn too_long_a_body_is_refused() {
    for answer in [
        Answer::Whole([content(), vec![0]].concat()),
        Answer::Endless([content(), vec![0; 1_000_000]].concat()),
    ] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer]);
        let entry = plain(&server.address, &content());
        let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
        assert!(message.contains("is not the file of the catalogue"), "{message}");
        let part = home.path().join("it/it.gz.part");
        assert!(fs::metadata(part).unwrap().len() <= 200_000);
        assert_eq!(server.requests().len(), 1, "nothing is gained by asking again");
    }
}

#[test]
fn a_part_that_is_too_long_starts_from_nothing() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("it")).unwrap();
    fs::write(home.path().join("it/it.gz.part"), vec![0; 200_001]).unwrap();
    fs::write(home.path().join("it/it.gz.part.etag"), "\"a\"\r\nEvil: 1").unwrap();
    let server = Server::start(vec![Answer::Whole(content())]);
    fetch_quick(&plain(&server.address, &content()), home.path()).unwrap();
    assert_eq!(header(&server.requests()[0], "range"), None);
}

#[test]
fn without_a_server_the_error_says_what_to_put_where() {
    let home = tempfile::tempdir().unwrap();
    let gone = Server::start(Vec::new());
    let files = [file("a.gz", &gone.address, b"first"), file("b.gz", &gone.address, b"second")];
    let entry = entry(Form::Files(Box::leak(Box::new(files))), "it");
    // Until the listener is dropped, connections are taken and then cut.
    let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
    for file in entry.files() {
        let place = entry.place(home.path(), file);
        for part in [place.to_str().unwrap(), file.address, file.sha256, "5 bytes", "6 bytes"] {
            assert!(message.contains(part), "{message}");
        }
    }
    fs::write(home.path().join("it/a.gz"), "first").unwrap();
    let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
    assert!(!message.contains("a.gz") && message.contains("b.gz"), "{message}");
    fs::write(home.path().join("it/b.gz"), "second").unwrap();
    assert_eq!(fetch_quick(&entry, home.path()).unwrap(), home.path().join("it"));
    assert_eq!(names(&home.path().join("it")), ["a.gz", "b.gz"]);
}

#[test]
fn a_missing_file_is_not_asked_for_twice() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Answer::Status("404 Not Found"), Answer::Whole(content())]);
    let message =
        fetch_quick(&plain(&server.address, &content()), home.path()).unwrap_err().to_string();
    assert!(message.contains("answers 404"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

/// An archive of `top/train/a` and what else is given.
fn archive(names: &[&str]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn packed(address: &str, content: &[u8]) -> Entry {
    let limits = Limits { entries: 10, entry_bytes: 100, total_bytes: 100 };
    let file = file("top.tgz", address, content);
    entry(Form::Archive { file, limits, contents: &["train", "labels.csv"] }, "top")
}

#[test]
fn an_archive_becomes_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let content = archive(&["top/train/a", "top/labels.csv", "._top"]);
    let server = Server::start(vec![Answer::Whole(content.clone())]);
    let entry = packed(&server.address, &content);
    let path = fetch_quick(&entry, home.path()).unwrap();
    assert_eq!(path, home.path().join("top"));
    assert_eq!(fs::read(path.join("train/a")).unwrap(), b"abc");
    assert_eq!(names(home.path()), ["top", "top.tgz"]);

    // The folder is enough from now on, and is not written to.
    fs::remove_file(home.path().join("top.tgz")).unwrap();
    fs::write(path.join("train/a"), "mine").unwrap();
    fetch_quick(&entry, home.path()).unwrap();
    assert_eq!(fs::read(path.join("train/a")).unwrap(), b"mine");
    fs::remove_file(path.join("labels.csv")).unwrap();
    let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
    assert!(message.contains("must hold `labels.csv`"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_archive_put_there_by_hand_is_enough() {
    let home = tempfile::tempdir().unwrap();
    let content = archive(&["top/train/a", "top/labels.csv"]);
    let entry = packed("http://127.0.0.1:9/top.tgz", &content);
    fs::write(home.path().join("top.tgz"), &content).unwrap();
    let path = fetch_quick(&entry, home.path()).unwrap();
    assert_eq!(names(&path), ["labels.csv", "train"]);
}

#[test]
fn an_archive_that_lacks_something_leaves_no_folder() {
    let home = tempfile::tempdir().unwrap();
    let content = archive(&["top/train/a"]);
    fs::write(home.path().join("top.tgz"), &content).unwrap();
    let entry = packed("http://127.0.0.1:9/top.tgz", &content);
    let message = fetch_quick(&entry, home.path()).unwrap_err().to_string();
    assert!(message.contains("labels.csv"), "{message}");
    assert_eq!(names(home.path()), ["top.tgz"]);
}

#[test]
fn unpacking_stops_when_cancelled() {
    let home = tempfile::tempdir().unwrap();
    let content = archive(&["top/train/a", "top/labels.csv"]);
    fs::write(home.path().join("top.tgz"), &content).unwrap();
    let entry = packed("http://127.0.0.1:9/top.tgz", &content);
    let cancel = AtomicBool::new(false);
    let mut progress =
        |progress: Progress<'_>| cancel.store(progress.stage == Stage::Unpack, Ordering::Relaxed);
    let error = fetch(&entry, home.path(), &mut progress, &cancel).unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    assert_eq!(names(home.path()), ["top.tgz"]);
}
