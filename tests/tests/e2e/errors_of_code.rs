//! Code that cannot be imported never becomes ready; code that fails tells its callers without its stack.

use zipship_tests::{Function, Server, Spec, Zip};

#[tokio::test(flavor = "multi_thread")]
async fn an_import_error_never_reaches_ready() -> anyhow::Result<()> {
    let server = Server::start()?;
    let cases = [
        ("node10", "handler.handle", "handler.js", "require('nothing-like-this');", "nothing-like-this"),
        ("node10", "handler.handle", "handler.js", "module.exports.other = async () => 1;", "handle"),
        ("python3", "handler.handle", "handler.py", "import nothing_like_this\n", "nothing_like_this"),
        (
            "python3",
            "handler.handle",
            "handler.py",
            "def handle(event, context)\n    return 1\n",
            "SyntaxError",
        ),
    ];
    for (runtime, handler, file, code, cause) in cases {
        let function = Function::create(server.api(), Spec { runtime, handler, privacy: "public" }).await?;
        function.upload(&Zip::of(file, code).bytes()).await?;
        let settled = function.deploy().await?;
        assert_eq!(settled["status"], "error", "{code:?}: {settled}");
        let said = settled["error_message"].as_str().unwrap();
        assert!(said.contains(cause), "{code:?}: {cause:?} is not in {said:?}");
        assert_eq!(function.call().await?.status, 503, "{code:?}");
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_handler_is_500_and_keeps_the_stack_to_itself() -> anyhow::Result<()> {
    let server = Server::start()?;
    let cases = [
        (
            "node10",
            "handler.js",
            "module.exports.handle = async () => { throw new TypeError('bad day'); };",
            "TypeError",
        ),
        ("python3", "handler.py", "def handle(event, context):\n    raise KeyError('bad day')\n", "KeyError"),
    ];
    for (runtime, file, code, kind) in cases {
        let spec = Spec { runtime, handler: "handler.handle", privacy: "public" };
        let function = Function::deployed(server.api(), spec, &Zip::of(file, code)).await?;
        let answer = function.call().await?;
        let body = answer.expect(500);
        assert_eq!(body["errorType"], kind, "{body}");
        assert!(body["errorMessage"].as_str().unwrap().contains("bad day"), "{body}");
        assert!(!answer.text().contains("/home/app/function"), "{body}");
    }
    server.stop()
}
