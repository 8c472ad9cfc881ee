"""What installs a hub, brings members in and out, and switches types on and off: the steps behind `fedctl`.

Facts are read from the clusters first (`preflight`, `hub`, `discovery`), manifests are built by pure functions
(`names`, `objects`, typegen, templates), and then applied server-side, so that every step may be run again: after a
failure half way, the next run finishes. Verbs: `installing`, `joins`, `leaving`, `enabling`, `disabling`; `setup` does
the first, second and fourth for a whole fleet. All speak to the user through a `report` callable, one line per change.
"""
