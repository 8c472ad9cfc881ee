"""What installs a hub, brings members in and out, and switches types on and off: the steps behind `fedctl`.

Facts are read from the clusters first (`fleet`, `preflight`, `discovery`), judged (`judgements`, `kinds`) and turned
into manifests by pure functions (`objects`, typegen, templates), and then applied server-side, so that every step may
be run again: after a failure half way, the next run finishes.

Verbs: `installing`, `joins`, `leaving`, `enabling` and `disabling` (with `roles` in the members), `lookups`, `checking`
(types and members compared, nothing applied); `setup` is the first, second and fourth for a whole fleet. All tell what
they do to a `report` callable, a line per change.
"""
