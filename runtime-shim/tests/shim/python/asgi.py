"""An ASGI application behind Mangum, as its documentation shows it."""
import asyncio

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


async def hello(request):
    context = request.scope["aws.context"]
    answer = {"name": request.path_params["name"], "q": request.query_params.getlist("q"), "id": context.aws_request_id}
    return JSONResponse(answer, headers={"X-Tag": request.headers.get("x-tag", "")})


async def echo(request):
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def cookies(request):
    response = PlainTextResponse(request.cookies.get("seen", "nothing"))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def wait(request):
    await asyncio.sleep(0.05)
    return PlainTextResponse("waited")


async def pieces(request):
    async def each():
        for number in range(3):
            yield str(number)
    return StreamingResponse(each(), media_type="text/plain")


async def fail(request):
    raise RuntimeError("the application fails")


app = Starlette(routes=[
    Route("/hello/{name}", hello),
    Route("/echo", echo, methods=["POST"]),
    Route("/cookies", cookies),
    Route("/wait", wait),
    Route("/pieces", pieces),
    Route("/fail", fail),
])
handle = Mangum(app)
