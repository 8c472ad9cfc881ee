"""Federated types from CRDs and built-in types: pure functions on documents, and a command line; no cluster needed.

The steps: `documents` (or `cluster`) reads sources -> `gathering` selects types by `settings` -> `definitions` (for a
CRD) or `openapi` with `discovery` (for a built-in type) makes the target -> `schema` makes the template's schema of the
target's, with `rules`, `rewriting`, `defaults` and `cel` for CEL, `combinators` for oneOf and the like, `versions` and
`guards` for several versions -> `federate` puts it into the federated CRD, with `columns` and `remotestatus` ->
`writing` prints it, `bundle` adds RBAC and compares with what is in git. Besides: `upgrades`, `narrowing`, `affected`
and `forms` for `typegen diff`; `fitting` and `published` to compare a member's types with the hub's; `explaining` and
`tables` for output; `validation` to check documents offline.
"""
