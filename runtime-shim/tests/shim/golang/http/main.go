// Speaks the HTTP form of scaleway-functions-go: POST / with {event, context, handlerName, handlerPath}.
package main

import (
	"encoding/base64"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

type call struct {
	Event struct {
		Body    string            `json:"body"`
		Path    string            `json:"path"`
		Headers map[string]string `json:"headers"`
	} `json:"event"`
	Context     json.RawMessage `json:"context"`
	HandlerName string          `json:"handlerName"`
	HandlerPath string          `json:"handlerPath"`
}

var connections, arrived atomic.Int64

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
	status, body := 201, got.Event.Body+got.Event.Path
	switch got.Event.Path {
	case "/fail":
		http.Error(w, "boom", http.StatusInternalServerError)
		return
	case "/die":
		os.Exit(3)
	case "/panic":
		panic("no way out")
	case "/half":
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"statusCode":`))
		w.(http.Flusher).Flush()
		panic("no way out of the middle")
	case "/pid":
		body = strconv.Itoa(os.Getpid())
	case "/processors":
		body = strconv.Itoa(runtime.GOMAXPROCS(0))
	case "/call":
		_ = json.NewEncoder(w).Encode(map[string]interface{}{
			"context": got.Context, "handlerName": got.HandlerName, "handlerPath": got.HandlerPath,
		})
		return
	case "/connections":
		body = strconv.FormatInt(connections.Load(), 10)
	case "/meet64":
		round := (arrived.Add(1) + 63) / 64
		for arrived.Load() < round*64 {
			time.Sleep(time.Millisecond)
		}
		body = "met"
	case "/big":
		status, body = 200, strings.Repeat("x", 50<<20)
	case "/deaf":
		<-r.Context().Done()
		log.Print("the caller has gone")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]interface{}{"statusCode": status, "body": body})
}

func main() {
	address, ok := os.LookupEnv("ADDRESS")
	if !ok {
		address = "127.0.0.1"
	}
	server := &http.Server{
		Addr:    address + ":" + os.Getenv("SCW_UPSTREAM_PORT"),
		Handler: http.HandlerFunc(handle),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		},
	}
	if idle, err := strconv.Atoi(os.Getenv("IDLE_MS")); err == nil {
		server.IdleTimeout = time.Duration(idle) * time.Millisecond
	}
	if err := server.ListenAndServe(); err != nil {
		panic(err)
	}
}
