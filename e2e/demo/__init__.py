"""`make demo`: a host and three members on this machine, driven by fedctl and YAML, observed in the members' APIs.

`scenario` says what happens and what every member must hold afterwards; `stage` does it, with the YAML of e2e/gitops as
`checkout` reads and edits it; `observe` watches the members; `table` shows them; `clusters` starts and ends the
processes.
"""
