"""Make federated objects from plain manifests, and check federated ones: pure functions on documents, without I/O.

`cli.federate`, `cli.validate` and the KRM function `cli.krm` read and print; the logic is here.

documents --catalogue--> the type of each --cleaning--> template --wrapping--> federated object
documents --schemas, validating, together, members--> findings --formats--> text, GitHub annotations, SARIF
"""
