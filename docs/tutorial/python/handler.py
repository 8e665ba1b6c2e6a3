def my_handler(event, context):
    return {
        "body": {
            "test": "test"
        },
        "statusCode": 200,
        "headers": {
            "your-header": "your-value"
        }
    }
