"""Federated types from CRDs and built-in types: pure functions on documents, a command line on top, no cluster needed.

The road: `documents` reads files -> `definitions` (a CRD) or `openapi` with `discovery` (a built-in type) finds the
target -> `schema` and `rules` make its schema a template's -> `federate` sets it into the frame -> `writing` prints it.
"""
