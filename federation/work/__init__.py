"""What a work agent decides, pure: what a ManifestWork asks for, what is done about each object, what is reported.

No asyncio, clock, client or logging, as in core. `federation.agent` gathers the facts and carries out what follows.
The words are those of Open Cluster Management's API (work.open-cluster-management.io/v1).
"""
