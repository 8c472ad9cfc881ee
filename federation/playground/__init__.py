"""Local control planes: for the demo, the tests and anybody who wants to try federation on one machine.

`verbs` is what the command line calls; `clusters` runs the processes; `binaries` finds or builds what they run;
`faultproxy` stands between a client and one of them and misbehaves on request.
"""
