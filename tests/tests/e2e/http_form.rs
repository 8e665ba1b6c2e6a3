//! Go handlers that run an HTTP server on `SCW_UPSTREAM_PORT`, as `scaleway-functions-go` does: found out, not
//! configured.

use zipship_tests::{Function, Server, Spec, Zip};

const PROGRAM: &str = r#"
package main

import (
	"encoding/json"
	"net/http"
	"os"
)

type call struct {
	Event struct {
		Body       string `json:"body"`
		HTTPMethod string `json:"httpMethod"`
		Path       string `json:"path"`
	} `json:"event"`
	Context     map[string]interface{} `json:"context"`
	HandlerName string                 `json:"handlerName"`
}

func handle(w http.ResponseWriter, r *http.Request) {
	var got call
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != "POST" || r.URL.Path != "/" {
		http.Error(w, "not the form", http.StatusInternalServerError)
		return
	}
	answer := map[string]interface{}{
		"statusCode": 201,
		"headers":    map[string]string{"X-Method": got.Event.HTTPMethod},
		"body":       got.Event.Path + " " + got.Event.Body,
	}
	json.NewEncoder(w).Encode(answer)
}

func main() {
	http.HandleFunc("/", handle)
	panic(http.ListenAndServe(":"+os.Getenv("SCW_UPSTREAM_PORT"), nil))
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_with_a_server_of_its_own_is_found_out() -> anyhow::Result<()> {
    let server = Server::start()?;
    let archive =
        Zip::of("handlers/hello/main.go", PROGRAM).file("go.mod", "module example.com/form\n\ngo 1.21\n");
    let spec = Spec { runtime: "golang", handler: "handlers/hello", privacy: "public" };
    let function = Function::deployed(server.api(), spec, &archive).await?;
    let url = format!("{}/some/where", function.endpoint);
    let answer = reqwest::Client::new().put(url).body("héllo").send().await?;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["x-method"], "PUT");
    assert_eq!(answer.text().await?, "/some/where héllo");
    server.stop()
}
