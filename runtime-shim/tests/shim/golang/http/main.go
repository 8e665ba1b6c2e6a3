// Speaks the HTTP form of scaleway-functions-go: POST / with {event, context, handlerName, handlerPath}.
package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
)

type call struct {
	Event struct {
		Body    string            `json:"body"`
		Path    string            `json:"path"`
		Headers map[string]string `json:"headers"`
	} `json:"event"`
	HandlerName string `json:"handlerName"`
}

func handle(w http.ResponseWriter, r *http.Request) {
	var got call
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// The answer that a test wants, in base64 since header values are Latin-1.
	if wanted, ok := got.Event.Headers["X-Answer"]; ok {
		answer, err := base64.StdEncoding.DecodeString(wanted)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer)
		return
	}
	switch got.Event.Path {
	case "/fail":
		http.Error(w, "boom", http.StatusInternalServerError)
		return
	case "/die":
		os.Exit(3)
	}
	answer := map[string]interface{}{"statusCode": 201, "body": got.Event.Body + got.Event.Path}
	_ = json.NewEncoder(w).Encode(answer)
}

func main() {
	http.HandleFunc("/", handle)
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("SCW_UPSTREAM_PORT"), nil); err != nil {
		panic(err)
	}
}
