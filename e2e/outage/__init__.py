"""`make soak OUTAGE=3600`: one member is down for so many seconds while users go on working with the others.

`story` defines what the users do and what must follow, `tally` counts what the API servers report, `run` carries it out
on real control planes and samples the controller, `assessing` compares the figures with their limits. Options: see
`__main__`.
"""
