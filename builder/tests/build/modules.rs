//! Modules that are not vendored: fetched through the forwarder by the real go tool, from proxies that lie.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use builder::golang::modules::{Forwarder, ModuleLimits, ModuleProxy};
use builder::golang::{CompileError, LocalCompile};

use crate::golang::{compile, compiler, output};
use crate::proxy::{Module, Proxy, Reply, VERSION, zip_of};

const MAIN: &str = "package main\nimport \"example.com/lib\"\nfunc main() { lib.Hello() }\n";
const LIB: &str = "package lib\nimport \"os\"\nfunc Hello() { os.Stdout.WriteString(\"fetched\") }\n";
const GOMOD: &str = "module example.com/f\n\ngo 1.21\n\nrequire example.com/lib v1.0.0\n";

fn module() -> Module {
    Module::new("example.com/lib", LIB)
}

/// Compiles a function that needs `example.com/lib`, with what that proxy has and these sums.
fn build(proxy: &Proxy, sums: &str) -> Result<Vec<u8>, CompileError> {
    let kept = tempfile::tempdir().unwrap();
    let compiler = LocalCompile { proxy: proxy.client(), modules: kept.path().to_owned(), ..compiler() };
    compile(&compiler, ".", &[("go.mod", GOMOD), ("go.sum", sums), ("main.go", MAIN)])
}

#[track_caller]
fn refused(built: Result<Vec<u8>, CompileError>, words: &str) {
    let Err(CompileError::Rejected(said)) = built else { panic!("not refused: {built:?}") };
    assert!(said.contains(words), "{words:?} is not in {said:?}");
    assert!(!said.contains("127.0.0.1"), "the forwarder's address means nothing to anybody: {said}");
}

/// A proxy that has everything but answers this to the zip.
fn with_zip(reply: Reply) -> Proxy {
    let mut replies = module().replies();
    replies.insert(format!("/example.com/lib/@v/{VERSION}.zip"), reply);
    Proxy::start(replies)
}

#[test]
fn modules_come_through_the_proxy_and_are_asked_for_once() {
    let (module, kept) = (module(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(module.replies());
    let compiler = LocalCompile { proxy: proxy.client(), modules: kept.path().to_owned(), ..compiler() };
    let files = [
        ("go.mod", GOMOD),
        ("go.sum", &module.sums()),
        ("modules/x", "not the fetched ones"),
        ("main.go", MAIN),
    ];
    let program = compile(&compiler, ".", &files).unwrap();
    assert_eq!(output(&program), "fetched");
    let asked = proxy.asked();
    assert!(asked.iter().all(|path| path.starts_with("/example.com/lib/@v/")), "{asked:?}");
    assert_eq!(compile(&compiler, ".", &files).unwrap(), program);
    assert_eq!(proxy.asked(), asked, "what was kept is not asked for again");
    let elsewhere = tempfile::tempdir().unwrap();
    let cold = LocalCompile { modules: elsewhere.path().to_owned(), ..compiler };
    assert_eq!(compile(&cold, ".", &files).unwrap(), program, "where the modules lay is not in the program");
}

#[test]
fn what_go_sum_does_not_vouch_for_is_refused() {
    let (module, proxy) = (module(), Proxy::start(module().replies()));
    let forged = Module::new("example.com/lib", "package lib\nfunc Hello() {}\n");
    refused(build(&proxy, &forged.sums()), "checksum mismatch");
    let gomod_only = module.sums().lines().nth(1).unwrap().to_owned() + "\n";
    let advice = "run \"go mod tidy\" and add go.mod and go.sum to the archive";
    refused(build(&proxy, &gomod_only), "missing go.sum entry");
    refused(build(&proxy, &gomod_only), advice);
}

#[test]
fn a_module_that_no_proxy_has_is_named_and_nobody_else_is_asked() {
    let proxy = Proxy::start(BTreeMap::new());
    refused(
        build(&proxy, &module().sums()),
        "example.com/lib@v1.0.0: reading the module proxy: example.com/lib/@v/v1.0.0",
    );
    let none = LocalCompile { proxy: None, ..compiler() };
    let sums = module().sums();
    let built = compile(&none, ".", &[("go.mod", GOMOD), ("go.sum", &sums), ("main.go", MAIN)]);
    let said = built.unwrap_err().to_string();
    assert!(said.contains("go.mod requires example.com/lib") && said.contains("go mod vendor"), "{said}");
}

#[test]
fn a_zip_that_is_too_much_or_no_modules_is_not_passed_on() {
    let sums = module().sums();
    refused(build(&with_zip(Reply::Endless(1 << 40)), &sums), "too much");
    let escaping = zip_of(&[("../../evil.go".to_owned(), b"package lib\n".to_vec())]);
    refused(build(&with_zip(Reply::File(escaping)), &sums), "the module is refused");
    let foreign = zip_of(&[("example.com/other@v1.0.0/lib.go".to_owned(), b"package lib\n".to_vec())]);
    refused(build(&with_zip(Reply::File(foreign)), &sums), "is not below example.com/lib@v1.0.0/");
    refused(build(&with_zip(Reply::File(b"no zip".to_vec())), &sums), "the module is refused");
    let mut link = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    link.add_symlink("example.com/lib@v1.0.0/lib.go", "go.mod", options).unwrap();
    refused(build(&with_zip(Reply::File(link.finish().unwrap().into_inner())), &sums), "is a link");
}

#[test]
fn a_redirect_to_the_neighbours_is_not_followed() {
    let target = Proxy::start(module().replies());
    let sums = module().sums();
    let to = |host: &str| {
        let port = target.address.rsplit(':').next().unwrap();
        Reply::Redirect(format!("http://{host}:{port}/example.com/lib/@v/{VERSION}.zip"))
    };
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"] {
        refused(build(&with_zip(to(host)), &sums), "the module proxy could not be asked");
    }
    for elsewhere in ["file:///etc/passwd", "ftp://example.com/x"] {
        refused(build(&with_zip(Reply::Redirect(elsewhere.to_owned())), &sums), "reading the module proxy");
    }
    assert_eq!(target.asked(), Vec::<String>::new());
    // Within the proxy's own origin it is.
    let mut replies = module().replies();
    let zip = format!("/example.com/lib/@v/{VERSION}.zip");
    let moved = replies.insert(zip, Reply::Redirect("/moved".to_owned())).unwrap();
    replies.insert("/moved".to_owned(), moved);
    assert_eq!(output(&build(&Proxy::start(replies), &sums).unwrap()), "fetched");
}

/// A go tool's `direct`, version control and toolchains: whatever go.mod and the archive say.
#[test]
fn the_archive_can_not_send_the_go_tool_elsewhere() {
    let proxy = Proxy::start(module().replies());
    let kept = tempfile::tempdir().unwrap();
    let compiler = LocalCompile { proxy: proxy.client(), modules: kept.path().to_owned(), ..compiler() };
    let sums = module().sums();
    let settings = "GOPROXY=direct\nGOFLAGS=-toolexec=/bin/false\nGOVCS=*:all\nGOSUMDB=sum.example.com\n";
    let files = [
        (
            "go.mod",
            "module example.com/f\n\ngo 1.21\n\ntoolchain go1.99.0\n\nrequire example.com/lib v1.0.0\n",
        ),
        ("go.sum", sums.as_str()),
        ("go.env", settings),
        (".config/go/env", settings),
        ("go.work", "go 1.99\n\nuse /etc\n"),
        ("main.go", MAIN),
    ];
    assert_eq!(output(&compile(&compiler, ".", &files).unwrap()), "fetched");
    let asked = proxy.asked();
    assert!(asked.iter().all(|path| path.starts_with("/example.com/lib/@v/")), "{asked:?}");
    // Not at a proxy: Go would ask example.org itself, or run git, if it were let.
    let gomod = "module example.com/f\n\ngo 1.21\n\nrequire example.org/x.git v1.0.0\n";
    let built = compile(&compiler, ".", &[("go.mod", gomod), ("go.sum", ""), ("main.go", MAIN)]);
    refused(built, "example.org/x.git@v1.0.0: reading the module proxy: example.org/x.git/@v/v1.0.0");
}

/// The forwarder's own manners, without a go tool.
struct Asked {
    status: String,
    body: String,
}

fn ask(limits: ModuleLimits, proxy: &Proxy, requests: &[&str]) -> Vec<Asked> {
    let kept = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = proxy.client().unwrap();
    let forwarder = Forwarder::start(&upstream, limits, kept.path(), move || Ok(listener)).unwrap();
    let answers = requests.iter().map(|request| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Asked { status: head.split(' ').nth(1).unwrap().to_owned(), body: body.to_owned() }
    });
    let answers = answers.collect();
    assert!(forwarder.finish().unwrap().requests <= requests.len());
    assert!(TcpStream::connect(address).is_err(), "it goes on after its end");
    answers
}

#[test]
fn the_forwarder_passes_on_nothing_but_questions_about_modules() {
    let proxy = Proxy::start(module().replies());
    let requests = [
        "GET /example.com/lib/@v/v1.0.0.mod",
        "POST /example.com/lib/@v/v1.0.0.mod",
        "PUT /example.com/lib/@v/v1.0.0.mod",
        "HEAD /example.com/lib/@v/v1.0.0.mod",
        "GET /example.com/lib/@v/v1.0.0.mod?x=y",
        "GET /sumdb/sum.golang.org/supported",
        "GET /example.com/lib/../../x/@v/list",
        "GET /golang.org/toolchain/@v/v0.0.1-go1.99.0.linux-amd64.zip",
        "GET http://example.org/",
        "CONNECT example.org:443",
    ];
    let answers = ask(ModuleLimits::default(), &proxy, &requests);
    assert_eq!((answers[0].status.as_str(), answers[0].body.as_str()), ("200", module().gomod.as_str()));
    for (request, answer) in requests.iter().zip(&answers).skip(1) {
        assert_eq!(answer.status, "403", "{request}");
    }
    assert_eq!(proxy.asked(), ["/example.com/lib/@v/v1.0.0.mod"]);
}

#[test]
fn modules_are_limited_in_number_size_and_time() {
    let gomod = "GET /example.com/lib/@v/v1.0.0.mod";
    let zip = "GET /example.com/lib/@v/v1.0.0.zip";
    let proxy = Proxy::start(module().replies());
    let limits = ModuleLimits { requests: 2, ..ModuleLimits::default() };
    let statuses = |answers: Vec<Asked>| answers.into_iter().map(|answer| answer.status).collect::<Vec<_>>();
    assert_eq!(statuses(ask(limits, &proxy, &[gomod, gomod, gomod])), ["200", "200", "403"]);
    let limits = ModuleLimits { total_bytes: module().zip.len() as u64 + 1, ..ModuleLimits::default() };
    assert_eq!(statuses(ask(limits, &proxy, &[zip, gomod])), ["200", "403"]);
    let limits = ModuleLimits { unpacked_bytes: 10, ..ModuleLimits::default() };
    assert_eq!(statuses(ask(limits, &proxy, &[gomod, zip])), ["200", "403"]);
    let limits = ModuleLimits { time: Duration::from_millis(300), ..ModuleLimits::default() };
    let slow = ask(limits, &with_zip(Reply::Silence), &[zip]);
    assert_eq!(slow[0].status, "504");
    assert!(slow[0].body.contains("took longer"), "{}", slow[0].body);
}

#[test]
fn the_next_proxy_is_asked_when_one_has_no_such_module() {
    let (first, second) = (Proxy::start(BTreeMap::new()), Proxy::start(module().replies()));
    let both = format!("{},{}", first.address, second.address);
    let kept = tempfile::tempdir().unwrap();
    let compiler = LocalCompile {
        proxy: ModuleProxy::parse(&both).unwrap(),
        modules: kept.path().to_owned(),
        ..compiler()
    };
    let sums = module().sums();
    let built = compile(&compiler, ".", &[("go.mod", GOMOD), ("go.sum", &sums), ("main.go", MAIN)]);
    assert_eq!(output(&built.unwrap()), "fetched");
    assert!(!first.asked().is_empty());
}

/// The machine's own proxy, and a module that the examples use; the versions are pinned by go.sum.
#[test]
fn a_real_module_comes_from_the_machines_own_proxy() {
    let said = std::process::Command::new("go").args(["env", "GOPROXY"]).output().unwrap();
    let list = String::from_utf8(said.stdout).unwrap();
    let kept = tempfile::tempdir().unwrap();
    let compiler = LocalCompile {
        proxy: ModuleProxy::parse(list.trim()).unwrap(),
        modules: kept.path().to_owned(),
        ..compiler()
    };
    assert!(compiler.proxy.is_some(), "`go env GOPROXY` names no proxy: {list:?}");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../handlers-examples/golang/hello");
    let read = |name: &str| std::fs::read_to_string(format!("{example}/{name}")).unwrap();
    let (gomod, gosum, handler) = (read("go.mod"), read("go.sum"), read("handler.go"));
    let program =
        compile(&compiler, ".", &[("go.mod", &gomod), ("go.sum", &gosum), ("handler.go", &handler)]).unwrap();
    assert!(builder::golang::version(&program).is_some());
}
