//! Go handlers, compiled here.

use crate::harness::Project;

const GOMOD: (&str, &str) = ("go.mod", "module example.com/hello\n\ngo 1.21\n");

/// The HTTP form, which needs no module. It waits when it is told to.
fn program(version: u32) -> String {
    format!(
        r#"package main

import (
	"encoding/json"
	"net/http"
	"os"
)

func main() {{
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {{
		json.NewEncoder(w).Encode(map[string]any{{"statusCode": 200, "body": "{version}"}})
	}})
	http.ListenAndServe("127.0.0.1:"+os.Getenv("SCW_UPSTREAM_PORT"), nil)
}}
"#
    )
}

#[test]
fn a_go_function_is_compiled_and_its_compilers_words_are_shown() {
    let project = Project::new(&[GOMOD, ("cmd/hello/main.go", &program(1))]);
    let invoked = project.invoke(&["--handler", "cmd/hello"]);
    assert_eq!((invoked.code, invoked.stdout.as_str()), (Some(0), "1"), "{invoked:?}");
    project.write("cmd/hello/main.go", "package main\n\nfunc main() { nope() }\n");
    let rejected = project.invoke(&["--handler", "cmd/hello"]);
    assert_eq!(rejected.code, Some(1), "{rejected:?}");
    assert!(rejected.stderr.contains("cmd/hello/main.go:3:15: undefined: nope"), "{rejected:?}");
}

/// Old and new program run side by side for a while: each has a port of its own.
#[test]
fn a_save_is_compiled_and_served_as_fast_as_the_compiler_is() {
    let dev = Project::new(&[GOMOD, ("main.go", &program(1))]).dev(&[]);
    assert_eq!(dev.get("/").text(), "1");
    dev.project.write("main.go", &program(2));
    assert_eq!(dev.get("/").text(), "2");
    dev.project.write("main.go", "package main\n\nfunc main() { nope() }\n");
    let broken = dev.get("/");
    assert_eq!(broken.status, 500);
    assert!(broken.text().contains("./main.go:3:15: undefined: nope"), "{broken:?}");
    dev.project.write("main.go", &program(3));
    assert_eq!(dev.get("/").text(), "3");
}
