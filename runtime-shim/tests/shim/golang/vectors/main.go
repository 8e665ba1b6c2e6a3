// What the vector files make of Go: one program in both forms, told in the file "case" what to do, which writes
// what it was told to the file "seen", one line an invocation. Both lie in its working directory.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// One of them is set.
type does struct {
	Answer *string `json:"answer"`
	Error  *string `json:"error"`
	Panic  *string `json:"panic"`
	Exit   *int    `json:"exit"`
}

func next(seen interface{}) (does, error) {
	var todo does
	line, err := json.Marshal(seen)
	if err != nil {
		return todo, err
	}
	if err := os.WriteFile("seen", append(line, '\n'), 0o644); err != nil {
		return todo, err
	}
	text, err := os.ReadFile("case")
	if err != nil {
		return todo, err
	}
	if err := json.Unmarshal(text, &todo); err != nil {
		return todo, err
	}
	switch {
	case todo.Error != nil:
		return todo, errors.New(*todo.Error)
	case todo.Panic != nil:
		panic(*todo.Panic)
	case todo.Exit != nil:
		os.Exit(*todo.Exit)
	}
	return todo, nil
}

// POST / with {event, context, handlerName, handlerPath}.
func overHTTP(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Event   json.RawMessage        `json:"event"`
		Context map[string]interface{} `json:"context"`
		Name    string                 `json:"handlerName"`
		Path    string                 `json:"handlerPath"`
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &call)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	call.Context["handlerName"], call.Context["handlerPath"] = call.Name, call.Path
	call.Context["request"] = r.Method + " " + r.URL.Path
	todo, err := next(map[string]interface{}{"event": call.Event, "context": call.Context})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, *todo.Answer)
}

// The event has to fit the library's type. The answer is the library's type where that can say it.
func withLibrary(ctx context.Context, raw json.RawMessage) (interface{}, error) {
	var event events.APIGatewayProxyRequest
	if err := json.Unmarshal(raw, &event); err != nil {
		return nil, err
	}
	about, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	todo, err := next(map[string]interface{}{"event": raw, "context": map[string]interface{}{
		"awsRequestId": about.AwsRequestID, "deadline": deadline.UnixMilli(),
		"functionName": lambdacontext.FunctionName, "functionVersion": lambdacontext.FunctionVersion,
		"memoryLimitInMB": lambdacontext.MemoryLimitInMB,
	}})
	if err != nil {
		return nil, err
	}
	var has map[string]json.RawMessage
	_ = json.Unmarshal([]byte(*todo.Answer), &has)
	decoder := json.NewDecoder(bytes.NewReader([]byte(*todo.Answer)))
	decoder.DisallowUnknownFields()
	var typed events.APIGatewayProxyResponse
	if err := decoder.Decode(&typed); err == nil && has["statusCode"] != nil && has["body"] != nil {
		return typed, nil
	}
	return json.RawMessage(*todo.Answer), nil
}

func main() {
	if os.Getenv("VECTORS_FORM") == "lambda" {
		lambda.Start(withLibrary)
	}
	http.HandleFunc("/", overHTTP)
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("SCW_UPSTREAM_PORT"), nil); err != nil {
		panic(err)
	}
}
