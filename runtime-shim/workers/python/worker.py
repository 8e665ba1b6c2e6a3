# -*- coding: utf-8 -*-
"""The program of the python worker. Everything is in the package beside it, which a base image has compiled; a
program's own file never is."""
import os
import sys

if __name__ == "__main__":
    HERE = os.path.dirname(os.path.abspath(__file__))
    # The package is found for this one import. Handlers do not see what lies here.
    sys.path[:] = [HERE] + [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]
    from _zipship import main
    del sys.path[0]
    main.run()
