"""`fedctl plan`: what a change of the hub would do in every member, found out by dry runs, and written nowhere.

The controller's own code decides (core.planning, by way of controllers.gathering) and acts (controllers.push), on a
world that is read once: the hub as it is and as it would be with the documents, and each member by itself. What acts
goes through a port by which nothing can be written (`rehearsal`, kube.dryruns).

```
documents ── wishes ──> hub as it would be ─┐                                             ┌─> findings: grouped
hub ───────── hub ────> hub as it is ───────┴─> worlds ── visits, a member at a time ─────┤
member ────── sightings ──> its copies ──────────────────> planning ──> rehearsal ────────┘─> stamps: what it rests on
```
"""
