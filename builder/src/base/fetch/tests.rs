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
    let seen = Mutex::new(Vec::new());
    let mirrors = Mirrors::of_this_machine().with_debian(mirrors.iter().map(|m| (*m).to_owned()).collect());
    let fetched = all(
        lock,
        &BaseRequest {
            recipe_dir: Path::new("."),
            architecture: crate::Architecture::Amd64,
            shim: Path::new("."),
            workers: Path::new("."),
            downloads,
            mirrors: &mirrors,
            images_dir: Path::new("."),
            progress: &|step| seen.lock().unwrap().push(format!("{step:?}")),
        },
    );
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
