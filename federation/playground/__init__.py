"""Local control planes: for the demo, the tests and anybody who wants to try federation on one machine.

The command line calls `verbs`; `clusters` runs the processes; `binaries` finds or builds the binaries; `faultproxy` is
a proxy before one cluster that fails on request.
"""
