"""Machinery that knows nothing of Kubernetes: keyed queue, lanes, backoff, store, metrics."""
