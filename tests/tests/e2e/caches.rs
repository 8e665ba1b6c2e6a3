//! Compiled caches in deploys: made with the base's interpreter in a sandbox, used by the instance, and never in the way
//! of a deploy.

use serde_json::{Value, json};
use zipship_tests::{Function, Server, Spec, Zip};

use crate::logs::{log_when, messages};

const PYTHON: Spec<'_> = Spec { runtime: "python311", handler: "handler.handle", privacy: "public" };
const NODE: Spec<'_> = Spec { runtime: "node22", handler: "handler.handle", privacy: "public" };

/// Says which compiled files there are, and what is in them.
const HANDLER: &str = "\
import hashlib, json, os, sys
import dep

HERE = os.path.dirname(os.path.abspath(__file__))


def handle(event, context):
    found = {}
    for folder, _, names in os.walk(HERE):
        for name in names:
            if name.endswith('.pyc'):
                path = os.path.join(folder, name)
                with open(path, 'rb') as file:
                    found[os.path.relpath(path, HERE)] = hashlib.sha256(file.read()).hexdigest()
    return {'statusCode': 200, 'body': json.dumps({'text': dep.TEXT, 'compiled': found})}
";

/// A package of modules that are large enough to be compiled ahead.
fn packages(archive: Zip) -> Zip {
    let body: String = (0..60).map(|n| format!("def f{n}(a, b):\n    return [a, b, {n}]\n\n\n")).collect();
    let imports: String = (0..60).map(|n| format!("from . import m{n}\n")).collect();
    let text = format!("{imports}TEXT = 'from dep'\n");
    (0..60).fold(archive.file("package/dep/__init__.py", &text), |archive, n| {
        archive.file(&format!("package/dep/m{n}.py"), &format!("NUMBER = {n}\n\n\n{body}"))
    })
}

async fn compiled(function: &Function) -> anyhow::Result<Value> {
    let answer = function.call().await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["text"], "from dep");
    Ok(answer.json()["compiled"].clone())
}

/// Digests of the images that were pushed, and whether a sandbox compiled for them.
fn pushed(server: &Server) -> Vec<String> {
    let lines: Vec<Value> = server.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let digest = |line: &Value| find(line, "build.digest").and_then(Value::as_str).map(str::to_owned);
    lines.iter().filter_map(digest).collect()
}

/// A field of a log line, wherever the format puts it.
fn find<'v>(line: &'v Value, name: &str) -> Option<&'v Value> {
    line.get(name).or_else(|| line.get("fields").and_then(|fields| fields.get(name)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_function_with_packages_starts_from_what_was_compiled() -> anyhow::Result<()> {
    let server = Server::start()?;
    let archive = packages(Zip::of("handler.py", HANDLER));
    let function = Function::create(server.api(), PYTHON).await?;
    let path = format!("functions/{}", function.id);
    let verbose = json!({"environment_variables": {"PYTHONVERBOSE": "1"}});
    let _ = server.api().patch(&path, &verbose).await?.expect(200);
    function.redeploy(&archive).await?;
    let first = compiled(&function).await?;
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 61, "of all modules of the package, and of no others: {names:?}");
    assert!(names.contains(&&"package/dep/__pycache__/m7.cpython-311.pyc".to_owned()), "{names:?}");
    // What the interpreter itself says it has read.
    let said = "code object from '/home/app/function/package/dep/__pycache__/m7.cpython-311.pyc'";
    log_when(server.api(), &function.id, |lines| messages(lines).iter().any(|line| line.contains(said)))
        .await?;

    // The same archive is the same image, and so it is where nothing was kept of it.
    function.redeploy(&archive).await?;
    let digests = pushed(&server);
    assert_eq!((digests.len(), &digests[0]), (2, &digests[1]), "{digests:?}");
    // Other code: the packages' caches stay.
    function.redeploy(&packages(Zip::of("handler.py", &format!("{HANDLER}# changed\n")))).await?;
    assert_eq!(compiled(&function).await?, first);
    let another = Server::start()?;
    let function = Function::deployed(another.api(), PYTHON, &archive).await?;
    assert_eq!(compiled(&function).await?, first);
    for server in [server, another] {
        let builds = std::fs::read_dir(server.data().join("server/builds"))?.count();
        assert_eq!(builds, 0, "a build's files stay behind");
        server.stop()?;
    }
    Ok(())
}

/// Nothing of a function is run while it is built, and nothing that it brings stops its deploy.
#[tokio::test(flavor = "multi_thread")]
async fn sources_that_want_to_hurt_are_only_not_compiled() -> anyhow::Result<()> {
    let server = Server::start()?;
    let runs = "raise SystemExit('it is run while it is built')\n";
    let archive = packages(Zip::of("handler.py", HANDLER))
        // What the script itself imports, in every place that could shadow it.
        .file("package/py_compile.py", runs)
        .file("package/sitecustomize.py", runs)
        .file("src/os.py", runs)
        .file("list", "../../etc/passwd\tx\t0\n")
        // Where caches would lie, a file.
        .file("package/odd/__pycache__", "no folder")
        .file("package/odd/__init__.py", "X = 1\n")
        .file("package/wrong.py", "print 'of another Python'\n")
        .file("package/0 9999999 x.py", "X = 1\n");
    let function = Function::deployed(server.api(), PYTHON, &archive).await?;
    let found = compiled(&function).await?;
    let names: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert!(names.contains(&&"package/dep/__pycache__/m7.cpython-311.pyc".to_owned()), "{names:?}");
    assert!(names.contains(&&"package/odd/__pycache__/__init__.cpython-311.pyc".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("wrong")), "{names:?}");
    assert!(!server.log().contains("goes without compiled caches"), "{}", server.log());

    // One that the compiler itself does not survive, or takes all memory for.
    let deep = format!("x = {}1\n", "-".repeat(3_000_000));
    function.redeploy(&archive.file("package/deep.py", &deep)).await?;
    assert_eq!(function.call().await?.json()["text"], "from dep");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_bundle_of_node_22_starts_from_its_compile_cache() -> anyhow::Result<()> {
    let server = Server::start()?;
    let functions: String = (0..2000)
        .map(|n| format!("function f{n}(a, b) {{ return [a, b, {n}].map(String).join('-'); }}\n"))
        .collect();
    let bundle = format!(
        "{functions}exports.handle = async () => ({{ statusCode: 200, body: process.env.NODE_COMPILE_CACHE }});\n"
    );
    let function = Function::create(server.api(), NODE).await?;
    let path = format!("functions/{}", function.id);
    let native = json!({"environment_variables": {"NODE_DEBUG_NATIVE": "COMPILE_CACHE"}});
    let _ = server.api().patch(&path, &native).await?.expect(200);
    function.redeploy(&Zip::of("handler.js", &bundle)).await?;
    assert_eq!(function.call().await?.text(), "/home/app/function/.node-compile-cache");
    log_when(server.api(), &function.id, |lines| {
        let mut lines = messages(lines).into_iter();
        lines.any(|line| line.contains("function/handler.js") && line.contains("was accepted"))
    })
    .await?;
    server.stop()
}
