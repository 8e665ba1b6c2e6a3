# A function of functions-framework.
def handle(request):
    return "hello", 200, {"Content-Type": "text/plain; charset=utf-8"}
