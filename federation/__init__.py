"""Push federation for Kubernetes: the controller, its command line and its local playground."""

__version__ = "0.1.0"
