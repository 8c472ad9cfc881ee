# A rollout with one revision everywhere, and a second one that waits for approval of its first stage.
kubectl apply -f rollout.yaml
kubectl label federateddeployment web -n shop kubefed.io/rollout=web
fedctl wait deployment web -n shop --for=propagated --timeout 60s
kubectl patch federateddeployment web -n shop --type merge -p '{"spec":{"template":{"spec":{"replicas":1}}}}'
