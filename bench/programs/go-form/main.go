// A handler in the HTTP form of the Scaleway library, which no registry has: the whole event is decoded as that
// library decodes it, and the answer is an envelope.
package main

import (
	"encoding/json"
	"net/http"
	"os"
)

type identity struct {
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

type requestContext struct {
	AccountID        string                 `json:"accountId"`
	ResourceID       string                 `json:"resourceId"`
	Stage            string                 `json:"stage"`
	RequestID        string                 `json:"requestId"`
	Identity         identity               `json:"identity"`
	ResourcePath     string                 `json:"resourcePath"`
	Authorizer       map[string]interface{} `json:"authorizer"`
	HTTPMethod       string                 `json:"httpMethod"`
	APIID            string                 `json:"apiId"`
	RequestTime      string                 `json:"requestTime"`
	RequestTimeEpoch int64                  `json:"requestTimeEpoch"`
}

type event struct {
	Resource              string            `json:"resource"`
	Path                  string            `json:"path"`
	HTTPMethod            string            `json:"httpMethod"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters"`
	PathParameters        map[string]string `json:"pathParameters"`
	StageVariables        map[string]string `json:"stageVariables"`
	RequestContext        requestContext    `json:"requestContext"`
	Body                  string            `json:"body"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
}

type call struct {
	Event       event                  `json:"event"`
	Context     map[string]interface{} `json:"context"`
	HandlerName string                 `json:"handlerName"`
	HandlerPath string                 `json:"handlerPath"`
}

type response struct {
	StatusCode      int                 `json:"statusCode"`
	Headers         map[string]string   `json:"headers"`
	MultiHeaders    map[string][]string `json:"multiValueHeaders"`
	Body            string              `json:"body"`
	IsBase64Encoded bool                `json:"isBase64Encoded"`
}

// The user's part.
func handle(event) (response, error) {
	return response{StatusCode: 200, Body: "hello"}, nil
}

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var got call
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer, err := handle(got.Event)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("SCW_UPSTREAM_PORT"), nil); err != nil {
		panic(err)
	}
}
