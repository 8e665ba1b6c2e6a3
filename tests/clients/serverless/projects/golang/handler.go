// Package main is a handler at the root of a project.
package main

import (
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// Handler answers every request.
func Handler(req events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	body, err := json.Marshal(map[string]interface{}{
		"message": "We're all good",
		"path":    req.Path,
		"local":   os.Getenv("local"),
	})
	return events.APIGatewayProxyResponse{Body: string(body), StatusCode: 200}, err
}

func main() {
	lambda.Start(Handler)
}
