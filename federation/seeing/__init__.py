"""Look into the members from the hub: `fedctl explain`, `diff`, `events` and `logs`.

Everything is read with the user's own rights (`joining.reaching`), and nothing is written: what a member would make of
a manifest is asked by dry runs, decided by the controller's own planning, as `fedctl plan` does (`preview`).

```
KIND NAME ─ subjects ─> federated object, and its clusters ─ asking ─> each member ─┬─ standing ──> explaining, diffing
                                                                                    └─ owned ─────> events, logs
```
"""
