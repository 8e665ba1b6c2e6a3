//! Python handlers: where they lie, what they are given, what they may do to their process.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each};

/// What the handler answers to these paths, in order.
fn texts(shim: &Shim, paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| shim.get(path).text().to_owned()).collect()
}

#[test]
fn a_handler_in_a_package_imports_its_neighbours_and_what_lies_in_package() {
    each(Language::pythons(), |language| {
        let handler = "from . import near\nfrom .deeper.far import far\nimport vendored, top\n\
                       def handle(event, context):\n    return [near.near, far, vendored.name, top.name]\n";
        let shim = Setup::new(language, "")
            .file("src/app/main.py", handler)
            .file("src/app/near.py", "near = 'near'\n")
            .file("src/app/deeper/far.py", "from ..near import near\nfar = near + ' and far'\n")
            .file("src/__init__.py", "")
            .file("src/app/__init__.py", "")
            .file("src/app/deeper/__init__.py", "")
            .file("package/vendored.py", "name = 'vendored'\n")
            .file("package/top.py", "name = 'below the code'\n")
            .file("top.py", "name = 'the code'\n")
            .set("SCW_HANDLER", "src/app/main.handle")
            .start();
        assert_eq!(
            shim.get("/").json(),
            serde_json::json!(["near", "near and far", "vendored", "the code"]),
            "{language:?}"
        );
    });
}

#[test]
fn a_folder_without_init_is_a_package_where_python_has_it_so() {
    each(Language::pythons_3(), |language| {
        let handler = "from .near import near\ndef handle(event, context):\n    return near\n";
        let shim = Setup::new(language, "")
            .file("src/main.py", handler)
            .file("src/near.py", "near = 'near'\n")
            .set("SCW_HANDLER", "src/main.handle")
            .start();
        assert_eq!(shim.get("/").text(), "near", "{language:?}");
    });
}

#[test]
fn a_handler_may_have_the_name_of_a_module_of_the_library() {
    let source = "def handle(event, context):\n    import logging, random, json\n    \
                  logging.warning('told')\n    return [random.randint(1, 1), logging.WARNING, __name__]\n";
    each(Language::pythons(), |language| {
        for name in ["logging", "json", "random", "worker", "site", "asyncio", "main", "a-b"] {
            let shim = Setup::new(language, "")
                .file(&format!("{name}.py"), source)
                .set("SCW_HANDLER", &format!("{name}.handle"))
                .start();
            let answer = shim.get("/");
            assert_eq!(answer.status, 200, "{language:?} {name} {:?} {answer:?}", shim.ready);
            assert_eq!(answer.json()[1], 30, "{language:?} {name}");
            shim.logged("told");
        }
    });
}

#[test]
fn a_coroutine_may_have_the_name_of_a_module_that_its_loop_needs() {
    each(Language::pythons_3(), |language| {
        let source = "async def handle(event, context):\n    return 'served'\n";
        for name in ["logging", "socket", "selectors"] {
            let shim = Setup::new(language, "")
                .file(&format!("{name}.py"), source)
                .set("SCW_HANDLER", &format!("{name}.handle"))
                .start();
            assert_eq!(shim.get("/").text(), "served", "{language:?} {name} {:?}", shim.ready);
        }
    });
}

#[test]
fn the_worker_leaves_nothing_of_its_own_on_the_path() {
    let source = "import os, sys\ndef handle(event, context):\n    \
                  return {'body': {'path': sys.path[:3], 'cwd': os.getcwd(), 'own': [p for p in sys.path if 'workers' in p]}}\n";
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, source).start();
        let said = shim.get("/").json();
        let code = shim.code().to_str().expect("text");
        assert_eq!(said["path"][0], code, "{language:?}");
        assert_eq!(said["path"][1], format!("{code}/package"), "{language:?}");
        assert_eq!((&said["cwd"], &said["own"]), (&code.into(), &serde_json::json!([])), "{language:?}");
    });
}

#[test]
fn the_context_is_a_dict_of_the_platform_with_the_attributes_of_aws() {
    let source = "import json\ndef handle(event, context):\n    context.log('a line\\n')\n    \
                  left = context.get_remaining_time_in_millis()\n    \
                  return {'body': {'dict': context, 'own': json.loads(json.dumps(context)), 'id': context.aws_request_id,\n        \
                  'event': event['requestContext']['requestId'], 'left': left, 'name': context.function_name,\n        \
                  'version': context.function_version, 'memory': context.memory_limit_in_mb,\n        \
                  'arn': context.invoked_function_arn, 'log': context.log_group_name + context.log_stream_name,\n        \
                  'client': context.client_context, 'who': context.identity.cognito_identity_id}}\n";
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, source)
            .set("SCW_APPLICATION_NAME", "f")
            .set("SCW_APPLICATION_VERSION", "7")
            .set("SCW_APPLICATION_MEMORY", "512")
            .set("SCW_TIMEOUT_MS", "60000")
            .start();
        let said = shim.call(Request::get("/").header("X-Request-Id", "request-1")).json();
        let platform =
            serde_json::json!({"functionName": "f", "functionVersion": "7", "memoryLimitInMb": 512});
        assert_eq!((&said["dict"], &said["own"]), (&platform, &platform), "{language:?}");
        assert_eq!(
            (&said["name"], &said["version"], &said["memory"]),
            (&"f".into(), &"7".into(), &512.into())
        );
        assert_eq!((&said["id"], &said["event"]), (&"request-1".into(), &"request-1".into()), "{language:?}");
        let left = said["left"].as_i64().expect("a number");
        assert!((50_000..=60_000).contains(&left), "{left}");
        assert_eq!((&said["arn"], &said["log"]), (&"".into(), &"".into()));
        assert!(said["client"].is_null() && said["who"].is_null());
        shim.logged("a line");
    });
}

#[test]
fn what_a_module_does_at_its_import_is_no_harm() {
    let source = "# -*- coding: utf-8 -*-\nimport signal, sys, threading, time\nprint('imported: hé')\n\
                  sys.stderr.write('complained\\n')\ntime.sleep(0.3)\n\
                  signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)\n\
                  threading.Thread(target=lambda: time.sleep(0.5)).start()\nsys.stdin.close()\n\
                  def handle(event, context):\n    return event['body']\n";
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, source).start();
        assert!(shim.ready.ready, "{language:?} {:?}", shim.ready);
        shim.logged("imported: hé");
        shim.logged("complained");
        // An alarm comes every 2 ms: reads and writes are interrupted all the time.
        let large = "x".repeat(1 << 20);
        for _ in 0..20 {
            assert!(shim.call(Request::new("POST", "/").body(large.clone())).text() == large, "{language:?}");
        }
    });
}

const ENDINGS: &str = "
import os, sys, threading, time
def end():
    sys.exit(3)
def handle(event, context):
    path = event['path']
    if path == '/system-exit':
        sys.exit('enough')
    if path == '/interrupt':
        raise KeyboardInterrupt()
    if path == '/thread':
        threading.Thread(target=end).start()
        threading.Thread(target=time.sleep, args=(30,)).start()
    if path == '/segfault':
        import ctypes
        ctypes.string_at(0)
    if path == '/recursion':
        def down(n):
            return down(n + 1)
        down(0)
    return str(os.getpid())
";

#[test]
fn a_handler_that_ends_its_program_ends_its_request() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, ENDINGS).start();
        let pid = shim.get("/").text().to_owned();
        for (path, kind) in
            [("/system-exit", "SystemExit"), ("/interrupt", "KeyboardInterrupt"), ("/recursion", "Recursion")]
        {
            let answer = shim.get(path);
            let said = answer.json()["errorType"].as_str().expect("a type").to_owned();
            let old = if language == Language::PythonLine("python") { "RuntimeError" } else { kind };
            assert!(
                answer.status == 500 && (said.starts_with(kind) || said == old),
                "{language:?} {answer:?}"
            );
        }
        assert_eq!(texts(&shim, &["/thread", "/"]), [pid.clone(), pid.clone()], "{language:?}");
        let answer = shim.get("/segfault");
        assert_eq!(answer.status, 502, "{language:?} {answer:?}");
        assert!(
            answer.json()["errorMessage"].as_str().expect("a reason").contains("signal 11"),
            "{answer:?}"
        );
        assert_ne!(shim.get("/").text(), pid);
    });
}

const CHILDREN: &str = "
import multiprocessing, os, subprocess, sys
def double(queue, number):
    print('in a child')
    queue.put(number * 2)
def handle(event, context):
    path = event['path']
    if path == '/multiprocessing':
        queue = multiprocessing.Queue()
        child = multiprocessing.Process(target=double, args=(queue, 21))
        child.start()
        got = queue.get()
        child.join()
        return got
    if path == '/subprocess':
        return subprocess.check_output([sys.executable, '-c', 'import os; print(os.listdir(\"/proc/self/fd\"))'])
    if path == '/fork':
        if os.fork() == 0:
            return 'from the child'
        return 'from the parent'
    if path == '/children':
        for _ in range(200):
            if os.fork() == 0:
                os._exit(0)
    return str(os.getpid())
";

#[test]
fn what_a_handler_starts_does_not_speak_for_it() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, CHILDREN).start();
        let pid = shim.get("/").text().to_owned();
        assert_eq!(shim.get("/multiprocessing").text(), "42", "{language:?}");
        shim.logged("in a child");
        // Standard input, output and error, and the descriptor that lists them.
        let descriptors = shim.get("/subprocess").text().to_owned();
        assert_eq!(descriptors.matches('\'').count(), 8, "{language:?} {descriptors}");
        for _ in 0..5 {
            assert_eq!(shim.get("/fork").text(), "from the parent", "{language:?}");
        }
        assert_eq!(shim.get("/children").text(), pid);
        assert_eq!(shim.get("/").text(), pid, "{language:?}");
    });
}

#[test]
fn the_worker_is_in_the_language_of_the_oldest_pythons() {
    // 2.7 runs in these tests; 3.7 has no runtime, but the grammar of a newer one knows what it lacks.
    let script = "import ast, pathlib, sys\nfor path in sorted(pathlib.Path(sys.argv[1]).rglob('*.py')):\n    \
                  ast.parse(path.read_text(), str(path), feature_version=(3, 7))\n    print(path.name)\n";
    let workers = concat!(env!("CARGO_MANIFEST_DIR"), "/workers/python");
    let mut command = std::process::Command::new(Language::Python.interpreter());
    let said = crate::harness::output(command.args(["-c", script, workers]));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(String::from_utf8_lossy(&said.stdout).lines().count() > 10);
}
