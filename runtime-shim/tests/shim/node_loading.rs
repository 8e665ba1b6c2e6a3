//! Node: where handlers are found: CommonJS, ES modules, TypeScript, each where that version has it.

use crate::harness::{Language, Setup, each};

/// Whether a handler is found in these files, and what it answers; else why not.
fn loaded(language: Language, handler: &str, files: &[(&str, &str)]) -> Result<String, String> {
    let mut setup = Setup::new(language, "").set("SCW_HANDLER", handler);
    for (name, text) in files {
        setup = setup.file(name, text);
    }
    let shim = setup.start();
    match shim.ready.error.clone() {
        None => Ok(shim.get("/").text().to_owned()),
        Some(error) => Err(error),
    }
}

#[test]
fn es_modules_run_from_version_12_and_are_explained_before() {
    let module = "export const handle = async () => 'module';";
    let typed = "{\"type\": \"module\"}";
    each(Language::nodes(), |language| {
        for (handler, files) in [
            ("m.handle", &[("m.mjs", module)][..]),
            ("build/m.mjs", &[("build/m.mjs", module)]),
            ("src/m.handle", &[("src/m.js", module), ("package.json", typed)]),
            ("m.default", &[("m.mjs", "export default () => 'module';")]),
            ("m.handle", &[("m.mjs", "export default {handle: () => 'module'};")]),
            (
                "m.mjs",
                &[
                    ("m.mjs", "import {text} from './t.cjs'; export const only = () => text;"),
                    ("t.cjs", "exports.text = 'module';"),
                ],
            ),
        ] {
            let found = loaded(language, handler, files);
            if language.node_line() >= Some(12) {
                assert_eq!(found.as_deref(), Ok("module"), "{language:?} {handler}");
            } else {
                let error = found.expect_err("no ES modules");
                assert!(error.contains("ES module") && error.contains("12.17"), "{language:?} {error}");
            }
        }
        let in_a_package = [("p/m.cjs", "exports.handle = () => 'common';"), ("p/package.json", typed)];
        assert_eq!(loaded(language, "p/m.handle", &in_a_package).as_deref(), Ok("common"), "{language:?}");
    });
}

#[test]
fn a_module_may_wait_at_its_top_from_version_14() {
    let module = "const text = await new Promise((resolve) => setTimeout(resolve, 1, 'waited')); \
                  export const handle = () => text;";
    each(Language::nodes(), |language| {
        let found = loaded(language, "m.handle", &[("m.mjs", module)]);
        assert_eq!(found.is_ok(), language.node_line() >= Some(14), "{language:?} {found:?}");
        assert!(found.is_err() || found.as_deref() == Ok("waited"), "{language:?} {found:?}");
    });
}

#[test]
fn a_module_that_is_not_declared_is_found_out_or_explained() {
    each(Language::nodes(), |language| {
        let source = "export const handle = () => 'found out';";
        let found = loaded(language, "m.handle", &[("m.js", source)]);
        if language.node_line() >= Some(20) {
            assert_eq!(found.as_deref(), Ok("found out"), "{language:?}");
        } else {
            let error = found.expect_err("not found out");
            assert!(error.contains("an ES module is named .mjs"), "{language:?} {error}");
        }
    });
}

#[test]
fn typescript_runs_from_version_22_and_is_explained_before() {
    let module = "interface Event { path: string }\nexport const handle = async (event: Event): Promise<string> => `at ${event.path}`;";
    let common =
        "type Event = { path: string };\nexports.handle = (event: Event): string => 'at ' + event.path;";
    each(Language::nodes(), |language| {
        for (handler, name, text) in [
            ("t.handle", "t.ts", module),
            ("src/t.ts", "src/t.ts", module),
            ("t.handle", "t.mts", module),
            ("t.handle", "t.cts", common),
        ] {
            let found = loaded(language, handler, &[(name, text)]);
            if language.node_line() >= Some(22) {
                assert_eq!(found.as_deref(), Ok("at /"), "{language:?} {name}");
            } else {
                let error = found.expect_err("no TypeScript");
                assert!(error.contains("is TypeScript") && error.contains("22.18"), "{language:?} {error}");
            }
        }
    });
}

#[test]
fn a_file_that_node_cannot_read_is_named_with_its_line() {
    each(Language::nodes(), |language| {
        let files =
            [("m.js", "exports.handle = require('./deep/dep.js');"), ("deep/dep.js", "\nvar x = ;\n")];
        let error = loaded(language, "m.handle", &files).expect_err("no JavaScript");
        assert!(
            error.contains("SyntaxError: Unexpected token") && error.contains("(deep/dep.js:2)"),
            "{language:?} {error}"
        );
    });
}

/// Web frameworks' adapters look at the context only when they are done, and return what is no answer.
#[test]
fn adapters_that_answer_through_the_context_are_waited_for() {
    let adapter = "const http = require('http');
        let server = null;
        function proxy(context) {
          return {promise: new Promise(function () {
            if (server) return setImmediate(function () { context.succeed({statusCode: 201, body: 'adapted'}); });
            server = http.createServer(function () {});
            server.listen('adapter.sock', function () { context.succeed({statusCode: 201, body: 'adapted'}); }); })}; }";
    each(Language::nodes(), |language| {
        for handle in [
            "exports.handle = (event, context) => { proxy(context); };",
            "exports.handle = (event, context) => proxy(context);",
            "exports.handle = function (event, context) { context.callbackWaitsForEmptyEventLoop = false; \
             setTimeout(context.succeed.bind(context), 1, {statusCode: 201, body: 'adapted'}); };",
        ] {
            let shim = Setup::new(language, &format!("{adapter}\n{handle}")).start();
            for _ in 0..2 {
                let answer = shim.get("/");
                assert_eq!((answer.status, answer.text()), (201, "adapted"), "{language:?} {handle}");
            }
        }
    });
}
