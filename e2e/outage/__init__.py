"""`make soak OUTAGE=3600`: one member is dead for so many seconds while users go on working at the others.

`story` says what the users do and what must come of it, `tally` counts what the API servers see, `run` brings it about
on real control planes and samples the controller, `verdict` judges. Options: see `__main__`.
"""
