// Package main is a handler in a package of its own.
package main

import (
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// Handler answers every request.
func Handler(req events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return events.APIGatewayProxyResponse{Body: "My Custom Package", StatusCode: 200}, nil
}

func main() {
	lambda.Start(Handler)
}
