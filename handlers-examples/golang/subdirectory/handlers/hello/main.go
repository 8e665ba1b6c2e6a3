// One function of several in a module: the handler is the package's directory, "handlers/hello".
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"example.com/subdirectory/greeting"
)

// Handler greets whoever the path names; "/nobody" is an error of the function's own.
func Handler(_ context.Context, req events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	name := strings.Trim(req.Path, "/")
	if name == "nobody" {
		return events.APIGatewayProxyResponse{}, errors.New("there is nobody to greet")
	}
	return events.APIGatewayProxyResponse{
		StatusCode:        http.StatusCreated,
		MultiValueHeaders: map[string][]string{"X-Greeted": {name}},
		Body:              fmt.Sprintf("%s (%s)\n", greeting.For(name), req.HTTPMethod),
	}, nil
}

func main() {
	lambda.Start(Handler)
}
