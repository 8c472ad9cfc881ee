"""What one controller process costs with very many members: `python -m e2e.bench.scale`.

A real host cluster and simulated members (docs/playground.md). CPU, memory and requests count; seconds are shared with
the members, which run on the same machine, so that their CPU stands beside every figure.
"""
