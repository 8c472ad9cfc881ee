"""The loops: read facts, let core decide, act through ports, tell. What they need they state as Protocols."""
