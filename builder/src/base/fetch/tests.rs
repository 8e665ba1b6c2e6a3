use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use super::*;

/// A mirror on the loopback that has one file; everything else is 404. Serves until the test process ends.
fn mirror(path: &'static str, content: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), path, content);
        }
    });
    address
}

fn answer(mut stream: TcpStream, path: &str, content: &[u8]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    for _ in lines.by_ref().take_while(|line| !line.is_empty()) {}
    let found = request.split(' ').nth(1) == Some(&format!("/{path}"));
    let (status, body) = if found { ("200 OK", content) } else { ("404 Not Found", &b"no"[..]) };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn lock(sha256: &str) -> Lock {
    let locked = Locked {
        name: "hello".into(),
        version: "1".into(),
        archive: Archive::Deb,
        path: "pool/h/hello_1+b1.deb".into(),
        size: 5,
        sha256: sha256.into(),
    };
    Lock { packages: vec![locked], path: PathBuf::new(), text: String::new() }
}

fn fetch(lock: &Lock, mirrors: &[&str], downloads: &Path) -> (Result<Vec<Bytes>, BaseError>, Vec<String>) {
    let mirrors = Mirrors::of_this_machine().with_debian(mirrors.iter().map(|m| (*m).to_owned()).collect());
    fetch_from(lock, &mirrors, downloads)
}

fn fetch_from(
    lock: &Lock,
    mirrors: &Mirrors,
    downloads: &Path,
) -> (Result<Vec<Bytes>, BaseError>, Vec<String>) {
    let seen = Mutex::new(Vec::new());
    let progress = |step: Progress<'_>| seen.lock().unwrap().push(format!("{step:?}"));
    let fetched = all(lock, Downloads { folder: downloads, mirrors, progress: &progress });
    (fetched, seen.into_inner().unwrap())
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).hex().to_owned()
}

#[test]
fn the_next_mirror_is_tried_and_the_download_is_kept() {
    let (without, with) = (mirror("other", b""), mirror("pool/h/hello_1+b1.deb", b"hello"));
    let downloads = tempfile::tempdir().unwrap();
    let lock = lock(&sha256(b"hello"));
    let (fetched, steps) = fetch(&lock, &[&without, &with], downloads.path());
    assert_eq!(fetched.unwrap(), ["hello"]);
    assert_eq!(steps.first().unwrap(), "Fetching { files: 1, bytes: 5 }");
    assert_eq!(steps.last().unwrap(), "Fetched { name: \"hello\" }");
    let (again, steps) = fetch(&lock, &[&without], downloads.path());
    assert_eq!((again.unwrap(), steps), (vec![Bytes::from("hello")], vec![]));
}

#[test]
fn a_damaged_download_is_fetched_again() {
    let with = mirror("pool/h/hello_1+b1.deb", b"hello");
    let downloads = tempfile::tempdir().unwrap();
    let lock = lock(&sha256(b"hello"));
    fs::write(downloads.path().join(sha256(b"hello")), "hullo").unwrap();
    assert_eq!(fetch(&lock, &[&with], downloads.path()).0.unwrap(), ["hello"]);
}

#[test]
fn a_changed_hash_fails_with_the_packages_name() {
    let with = mirror("pool/h/hello_1+b1.deb", b"hello");
    let downloads = tempfile::tempdir().unwrap();
    let error = fetch(&lock(&sha256(b"world")), &[&with], downloads.path()).0.unwrap_err();
    assert!(matches!(&error, BaseError::Changed { package, .. } if package == "hello"), "{error}");
    assert!(error.to_string().starts_with("hello: the lock wants sha256 486ea46224d1"), "{error}");
    assert_eq!(fs::read_dir(downloads.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_grew_is_not_read_to_its_end() {
    let with = mirror("pool/h/hello_1+b1.deb", b"hello, and more");
    let downloads = tempfile::tempdir().unwrap();
    let error = fetch(&lock(&sha256(b"hello")), &[&with], downloads.path()).0.unwrap_err().to_string();
    assert!(error.contains("more than the 5 bytes"), "{error}");
}

#[test]
fn a_file_on_no_mirror_names_the_file_the_mirrors_and_the_way_out() {
    let without = mirror("other", b"");
    let downloads = tempfile::tempdir().unwrap();
    let error = fetch(&lock(&sha256(b"hello")), &[&without], downloads.path()).0.unwrap_err().to_string();
    for part in ["pool/h/hello_1+b1.deb", without.as_str(), "404 Not Found", "zipship images update"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// A mirror that answers the first request with half of the file and an end, and serves ranges after that.
fn breaking_mirror(
    content: &'static [u8],
    rest: &'static [u8],
) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, asks) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = head.iter().find(|line| line.to_ascii_lowercase().starts_with("range:")).cloned();
            let start =
                range.as_deref().and_then(|r| r.rsplit('=').next()?.trim_end_matches('-').parse().ok());
            asked.send(range.unwrap_or_default()).unwrap();
            let length = content.len();
            let (head, body) = match (n, start) {
                (0, _) => (format!("HTTP/1.1 200 OK\r\ncontent-length: {length}"), &content[..length / 2]),
                (_, Some(start)) => {
                    let (from, end): (usize, usize) = (start, length - 1);
                    let head = format!(
                        "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{end}/{length}\r\n\
                         content-length: {}",
                        length - from
                    );
                    (head, &rest[from..])
                }
                (_, None) => (format!("HTTP/1.1 200 OK\r\ncontent-length: {length}"), content),
            };
            let head = format!("{head}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    (address, asks)
}

fn lock_of(content: &[u8]) -> Lock {
    let mut lock = lock(&sha256(content));
    lock.packages[0].size = content.len() as u64;
    lock
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let content = b"0123456789";
    let (mirror, asks) = breaking_mirror(content, content);
    let downloads = tempfile::tempdir().unwrap();
    let (fetched, _) = fetch(&lock_of(content), &[&mirror], downloads.path());
    assert_eq!(fetched.unwrap(), [&content[..]]);
    let asks: Vec<String> = asks.try_iter().map(|ask| ask.to_ascii_lowercase()).collect();
    assert_eq!(asks, ["", "range: bytes=5-"]);
    let left: Vec<_> = fs::read_dir(downloads.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [sha256(content).as_str()], "no part is left");
}

#[test]
fn what_an_earlier_run_left_is_gone_on_with_and_a_bad_beginning_is_thrown_away() {
    let content = b"0123456789";
    let downloads = tempfile::tempdir().unwrap();
    let part = downloads.path().join(format!("{}.part", sha256(content)));
    fs::write(&part, "0123456").unwrap();
    let (breaking, asks) = breaking_mirror(content, content);
    // The first answer of this mirror is half a file from the start, so the part is given up, then gone on with.
    assert_eq!(fetch(&lock_of(content), &[&breaking], downloads.path()).0.unwrap(), [&content[..]]);
    assert_eq!(asks.recv().unwrap().to_ascii_lowercase(), "range: bytes=7-");
    fs::remove_file(downloads.path().join(sha256(content))).unwrap();
    fs::write(&part, "bad").unwrap();
    let whole = mirror("pool/h/hello_1+b1.deb", content);
    assert_eq!(fetch(&lock_of(content), &[&whole], downloads.path()).0.unwrap(), [&content[..]]);
    assert!(!part.exists());
}

#[test]
fn a_wheel_is_found_through_the_page_of_its_project() {
    let page = b"<html><a href=\"/files/aa/tool-1-py3-none-any.whl#sha256=0\">tool</a></html>";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let index = format!("http://{}/simple", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        answer(listener.accept().unwrap().0, "simple/tool/", page);
        answer(listener.accept().unwrap().0, "files/aa/tool-1-py3-none-any.whl", b"hello");
    });
    let mut lock = lock(&sha256(b"hello"));
    lock.packages[0].archive = Archive::Wheel;
    lock.packages[0].path = "tool/tool-1-py3-none-any.whl".into();
    let downloads = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::of_this_machine().with_python(vec![index]);
    assert_eq!(fetch_from(&lock, &mirrors, downloads.path()).0.unwrap(), ["hello"]);
}
