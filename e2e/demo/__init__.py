"""`make demo`: a host and four members on this machine, changed by fedctl and YAML, observed in the members' APIs.

`scenario` defines the steps and what every member must have afterwards; `stage` carries them out, with the YAML of
e2e/gitops, which `checkout` reads and edits; `observe` watches the members; `table` shows them; `clusters` starts and
ends the processes, `edge` those of the member in pull mode.
"""
