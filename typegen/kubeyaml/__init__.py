"""Read and write YAML and JSON as kubectl does, for the controller, fedctl and typegen.

`scalars` resolves plain scalars, `reading` parses a text within limits, `writing` prints so that `reading` (and
kubectl) get the same values again. kubectl uses sigs.k8s.io/yaml: YAML 1.1 as go-yaml v2 reads it, converted to JSON.
Its results for some thousand scalars, keys and documents are recorded in tests/unit/kubeyaml/kubectl.json, which the
tests compare with.
"""
