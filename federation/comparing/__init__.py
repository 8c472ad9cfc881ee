"""`fedctl compare`: nine claims about push and pull, measured on one machine, and a report with a verdict for each.

`claims` are the nine sentences, `figures` what can be measured, `model` the raw data that a run leaves. A scenario
(`scenarios`) measures and gives samples; all that a report says is computed from those.
"""
