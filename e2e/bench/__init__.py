"""`make bench`: a controller measured from outside, beside a bare client in the same run and KubeFed's figures.

`fleet` brings up real control planes and the controller; `phases` and `hang` make load and wait at the members;
`meter` reads CPU, memory and request counters; `yardstick` is the bare client; `memory` counts what the controller
keeps; `report` sets it all beside the bars. Milliseconds drift between machines: every figure is also a multiple.
"""
