"""The work agent: applies in its member what the works of its namespace at a hub ask for. Start at `membership`.

It watches one collection at the hub and the applied kinds in the member, decides by `federation.work`, and goes on by
itself while the hub is away, over its own restart, too: what is wanted is kept in Secrets of the member.
"""
