import pandas


def handle(event, context):
    numbers = pandas.Series([1, 2, 3])
    return {"statusCode": 200, "body": str(numbers.sum())}
