# The same handler as ours in scaleway-functions-python, without its debug mode.
import os

from handler import handle
from scaleway_functions_python import local

local.serve_handler(handle, port=int(os.environ["PORT"]), debug=False)
