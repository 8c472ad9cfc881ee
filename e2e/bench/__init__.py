"""`make bench`: measure the controller from outside, and compare it with a bare client and with KubeFed's figures.

`fleet` starts real control planes and the controller; `phases` and `hang` make load, and `observer` sees when the
members have it; `meter` reads CPU, memory and request counters; `yardstick` is the bare client (`configmaps` is what it
does); `memory` measures what the controller keeps in memory; `report` compares everything with its limit. Times differ
between machines, so every figure is also given as a multiple of the bare client's.
"""
