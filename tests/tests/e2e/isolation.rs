//! What a function finds around it, asked from inside a real one.

use zipship_tests::{Function, Server, Spec, Zip};

const PROBE: &str = r#"
import os, socket

def status():
    with open("/proc/self/status") as file:
        return {line.split(":")[0]: line.split(":")[1].strip() for line in file if ":" in line}

def attempt(action):
    try:
        action()
        return "done"
    except OSError as error:
        return os.strerror(error.errno)

def handle(event, context):
    keys = ["Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]
    found = status()
    return {
        "status": {key: found[key] for key in keys},
        "interfaces": [name for _, name in socket.if_nameindex()],
        "root": attempt(lambda: open("/written", "w")),
        "code": attempt(lambda: open("/home/app/function/written", "w")),
        "tmp": attempt(lambda: open("/tmp/written", "w")),
        "outside": attempt(lambda: socket.create_connection(("127.0.0.1", int(event["body"])), 2)),
        "processes": [name for name in os.listdir("/proc") if name.isdigit()],
        "environment": sorted(name for name in os.environ if name.startswith("ZIPSHIP_")),
    }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_finds_nothing_to_break_out_with() -> anyhow::Result<()> {
    let server = Server::start()?;
    let spec = Spec { runtime: "python3", handler: "handler.handle", privacy: "public" };
    let function = Function::deployed(server.api(), spec, &Zip::of("handler.py", PROBE)).await?;
    // The server's own port: the host's loopback must not be this one's.
    let port = function.endpoint.split(':').nth(2).and_then(|rest| rest.split('/').next()).unwrap();
    let answer = reqwest::Client::new().post(&function.endpoint).body(port.to_owned()).send().await?;
    let found: serde_json::Value = answer.json().await?;

    let status = &found["status"];
    assert_eq!(status["Uid"], "1000\t1000\t1000\t1000", "{found}");
    assert_eq!(status["Gid"], "1000\t1000\t1000\t1000", "{found}");
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[capabilities], "0000000000000000", "{capabilities}: {found}");
    }
    assert_eq!((&status["NoNewPrivs"], &status["Seccomp"]), (&"1".into(), &"2".into()), "{found}");
    assert_eq!(found["interfaces"], serde_json::json!(["lo"]), "{found}");
    assert_eq!(found["outside"], "Connection refused", "{found}");
    assert_eq!((&found["root"], &found["tmp"]), (&"Read-only file system".into(), &"done".into()), "{found}");
    assert_eq!(found["code"], "Read-only file system", "{found}");
    assert_eq!(found["processes"].as_array().map(Vec::len), Some(2), "the shim and its worker: {found}");
    assert_eq!(found["environment"], serde_json::json!([]), "{found}");
    server.stop()
}

/// The memory limit holds, the guilty request fails alone, and the next one is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_eats_memory_is_stopped_and_serves_again() -> anyhow::Result<()> {
    let code = "def handle(event, context):\n    if event['body'] == 'eat':\n        eaten = []\n        while True:\n            \
                eaten.append(bytearray(1 << 20))\n    return 'fine'\n";
    let server = Server::start()?;
    let spec = Spec { runtime: "python3", handler: "handler.handle", privacy: "public" };
    let function = Function::deployed(server.api(), spec, &Zip::of("handler.py", code)).await?;
    let eating = reqwest::Client::new().post(&function.endpoint).body("eat").send().await?;
    assert_eq!(eating.status(), 507);
    let said: serde_json::Value = eating.json().await?;
    assert!(said["message"].as_str().unwrap().contains("128 MB"), "{said}");
    let answer = function.call().await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    server.stop()
}
