"""The only package that speaks HTTP, on kubernetes-asyncio's configuration, kubeconfig loading and token refresh."""
