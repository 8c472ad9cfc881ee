"""The loops: read facts, let core decide, act through ports, report. What they need they state as Protocols."""
