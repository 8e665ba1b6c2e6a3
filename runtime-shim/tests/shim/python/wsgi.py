"""A Flask application, behind apig-wsgi and behind serverless-wsgi."""
import time

import serverless_wsgi
from apig_wsgi import make_lambda_handler
from flask import Flask, jsonify, make_response, request

app = Flask(__name__)


@app.get("/hello/<name>")
def hello(name):
    return jsonify(name=name, q=request.args.getlist("q")), 200, {"X-Tag": request.headers.get("X-Tag", "")}


@app.post("/echo")
def echo():
    return request.get_data(), 200, {"Content-Type": request.content_type}


@app.get("/cookies")
def cookies():
    response = make_response(request.cookies.get("seen", "nothing"))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@app.get("/wait")
def wait():
    time.sleep(0.05)
    return "waited"


@app.get("/pieces")
def pieces():
    return (str(number) for number in range(3)), {"Content-Type": "text/plain"}


@app.get("/fail")
def fail():
    raise RuntimeError("the application fails")


apig = make_lambda_handler(app, binary_support=True)


def serverless(event, context):
    return serverless_wsgi.handle_request(app, event, context)
