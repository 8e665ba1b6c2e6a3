// A handler as a user writes it, with github.com/aws/aws-lambda-go unmodified.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func handle(_ context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	switch event.Path {
	case "/fail":
		return events.APIGatewayProxyResponse{}, errors.New("boom")
	case "/die":
		os.Exit(3)
	}
	return events.APIGatewayProxyResponse{StatusCode: 201, Body: event.Body + event.Path}, nil
}

func main() {
	lambda.Start(handle)
}
