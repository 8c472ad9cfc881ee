# Before each page: what an earlier one has left is put back.
kubectl apply -f apps
kubectl delete federatedrollouts,replicaschedulingpreferences --all -n shop
kubectl label federateddeployment web -n shop kubefed.io/rollout-
kubectl replace -f apps/web.yaml
fedctl wait deployment web -n shop --for=propagated --timeout 60s
