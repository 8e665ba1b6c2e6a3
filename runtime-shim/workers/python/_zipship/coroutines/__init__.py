# -*- coding: utf-8 -*-
"""Asynchronous handlers. For Python 3 alone: its syntax is of no earlier one."""
