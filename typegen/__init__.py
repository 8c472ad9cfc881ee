"""Federated types from CRDs and built-in types: pure functions on documents, a command line on top, no cluster needed.

The road: `documents` (or `cluster`) reads sources -> `gathering` picks the types that `settings` wants ->
`definitions` (a CRD) or `openapi` with `discovery` (a built-in type) finds the target -> `schema` makes its schema a
template's, with `rules`, `rewriting`, `defaults` and `cel` for CEL, `combinators` for oneOf and the like, `versions`
and `guards` for several versions -> `federate` sets it into the frame, with `columns` and `remotestatus` -> `writing`
prints it, `bundle` adds RBAC and compares with what is in git. Beside it: `upgrades`, `narrowing`, `affected` and
`forms` for `typegen diff`, `fitting` and `published` for what a member serves beside what the hub has, `explaining` and
`tables` for readers, `validation` for checking documents offline.
"""
