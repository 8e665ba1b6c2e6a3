// A handler as a user writes it, with github.com/aws/aws-lambda-go unmodified.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type teapot struct{ temperature int }

func (t *teapot) Error() string { return fmt.Sprintf("it has %d degrees", t.temperature) }

func text(body string) (interface{}, error) {
	return events.APIGatewayProxyResponse{StatusCode: 201, Body: body}, nil
}

// What the library makes of the headers of an invocation.
func aboutCall(ctx context.Context) (interface{}, error) {
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return map[string]interface{}{
		"id":      lc.AwsRequestID,
		"arn":     lc.InvokedFunctionArn,
		"left":    time.Until(deadline).Milliseconds(),
		"trace":   ctx.Value("x-amzn-trace-id"),
		"name":    lambdacontext.FunctionName,
		"version": lambdacontext.FunctionVersion,
		"memory":  lambdacontext.MemoryLimitInMB,
		"handler": os.Getenv("_HANDLER"),
	}, nil
}

// A reader that fails when it has been read.
type broken struct{ io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the source ran dry")
	}
	return n, err
}

func (broken) MarshalJSON() ([]byte, error) { return nil, errors.New("not JSON") }

// A reader without an end: it gives a line for each that is asked for with another request.
type lines struct{ got int }

func (l *lines) Read(p []byte) (int, error) {
	for l.got > 0 {
		if _, err := os.Stat("line" + strconv.Itoa(l.got)); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if l.got == 3 {
		return 0, io.EOF
	}
	l.got++
	return copy(p, fmt.Sprintf("line %d\n", l.got)), nil
}

func streamed(body io.Reader) (interface{}, error) {
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: 207,
		Headers:    map[string]string{"Content-Type": "text/x-lines", "X-Kept": "yes"},
		Cookies:    []string{"a=1", "b=2"},
		Body:       body,
	}, nil
}

var met = make(chan bool)

func handle(ctx context.Context, event events.APIGatewayProxyRequest) (interface{}, error) {
	switch event.Path {
	case "/fail":
		return nil, errors.New("boom")
	case "/teapot":
		return nil, &teapot{90}
	case "/long":
		return nil, errors.New(strings.Repeat("long ", 100000))
	case "/panic":
		var nothing map[string]int
		nothing["x"] = 1
	case "/die":
		os.Exit(3)
	case "/fatal":
		log.Fatal("the handler gives up")
	case "/call":
		return aboutCall(ctx)
	case "/pid":
		return text(strconv.Itoa(os.Getpid()))
	case "/processors":
		return text(strconv.Itoa(runtime.GOMAXPROCS(0)))
	case "/event":
		return map[string]interface{}{"event": event}, nil
	case "/big":
		length, err := strconv.Atoi(event.QueryStringParameters["length"])
		if err != nil {
			return nil, err
		}
		return text(strings.Repeat("x", length))
	case "/json":
		return json.RawMessage(event.Body), nil
	case "/meet":
		select {
		case met <- true:
		case <-met:
		}
		return text("met")
	case "/hold":
		name := fmt.Sprintf("held-%d-%d", os.Getpid(), time.Now().UnixNano())
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return nil, err
		}
		for {
			if _, err := os.Stat("go"); err == nil {
				return text(strconv.Itoa(os.Getpid()))
			}
			time.Sleep(time.Millisecond)
		}
	case "/stream":
		return streamed(&lines{})
	case "/broken":
		return streamed(broken{strings.NewReader("begun")})
	case "/reader":
		return broken{strings.NewReader("")}, nil
	case "/deaf":
		time.Sleep(time.Hour)
	}
	return text(event.Body + event.Path)
}

func main() {
	options := []lambda.Option{}
	switch os.Getenv("STARTS") {
	case "badly":
		log.Fatal("no database")
	case "and_ends":
		return
	case "with_sigterm":
		options = append(options, lambda.WithEnableSIGTERM(func() { log.Print("told to end") }))
	}
	lambda.StartWithOptions(handle, options...)
}
