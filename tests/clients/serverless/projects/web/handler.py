import os


def handle(event, context):
    return {"message": "Hello from python", "everywhere": os.environ["everywhere"]}
