"""The whole system as a user meets it: the demo, the benchmark, the long randomised run. Never installed."""
