"""`make bench`: measure the controller from outside, and compare it with a bare client and with KubeFed's figures.

`fleet`, which starts real control planes and the controller, `observer`, which sees when the members have a change,
`meter`, which reads CPU, memory and request counters, and `yardstick`, the bare client (`configmaps` is what it does),
are of `federation.comparing`, which measures by the same means. Here `phases` and `hang` make load; `memory` measures
what the controller keeps in memory; `report` compares everything with its limit. Times differ between machines, so
every figure is also given as a multiple of the bare client's.
"""
