"""Take over a running KubeFed installation in place: the steps behind `fedctl migrate`.

`gathering` and `members` read what there is (`facts`), `deciding` says what that means and what is left to do, and each
step has a module: `stopping` (and taking that back), `upgrading`, `narrowing`, `finishing`. What KubeFed had is in a
record at the host (`records`, kept by `keeping`) before it is touched, so that every step may be broken off and run
again. `proving` compares members' objects with what they were when KubeFed stopped.
"""
