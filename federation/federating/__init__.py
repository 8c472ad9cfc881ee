"""Plain manifests to federated ones, and federated ones checked, as pure functions on documents: no file, no cluster.

`cli.federate`, `cli.validate` and the KRM function `cli.krm` read and print; what is decided is decided here.

documents --catalogue--> which type each is of --cleaning--> template --wrapping--> federated object
documents --schemas, validating, together, members--> findings --reporting--> text, GitHub annotations, SARIF
"""
