"""The steps behind `fedctl`: install the hub, join and unjoin members, enable and disable types.

First the state of the clusters is read (`fleet`, `preflight`, `discovery`), then assessed (`assessments`, `kinds`),
then pure functions make manifests (`objects`, typegen, templates), which are applied server-side. Every step may be run
again: after a failure half way, the next run finishes.

Verbs: `installing`, `joins` (by a plan of `joinplans`), `leaving`, `enabling` and `disabling` (with `roles` in the
members), `lookups`, `checking` (compares types with members, applies nothing); `setup` does init, join and enable for a
whole fleet. For clusters in pull mode: `invitations` (tokens), `requests` and `accepting` at the hub, `registering` in
the member, `unregistering` in both. All of them call `report` with a line for each change.
"""
