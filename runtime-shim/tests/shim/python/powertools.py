"""An API of Powertools for AWS Lambda, with its logger."""
import time

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.logging import correlation_paths

app = APIGatewayRestResolver()
logger = Logger(service="tests")


@app.get("/hello/<name>")
def hello(name):
    logger.info("hello")
    answer = {"name": name, "q": app.current_event.multi_value_query_string_parameters.get("q", [])}
    return Response(200, "application/json", answer, headers={"X-Tag": app.current_event.headers.get("X-Tag", "")})


@app.post("/echo")
def echo():
    return Response(200, app.current_event.headers["Content-Type"], app.current_event.decoded_body)


@app.get("/wait")
def wait():
    time.sleep(0.05)
    return Response(200, "text/plain", "waited")


@app.get("/fail")
def fail():
    raise RuntimeError("the application fails")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST, log_event=True)
def handle(event, context):
    return app.resolve(event, context)
