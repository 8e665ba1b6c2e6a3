# -*- coding: utf-8 -*-
"""The python worker. Runs on Python 2.7 and 3.7 and later; `coroutines` on 3 alone. A start pays for every import:
none is made before it is needed, and the large ones (json, re, socket, traceback, inspect) only when they are."""
