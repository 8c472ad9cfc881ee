# What the pages about a running federation have: a host, members east and west, and a Deployment in both.
fedctl playground up host east west
fedctl init --host-cluster-context host
fedctl enable namespaces configmaps deployments.apps --host-cluster-context host
fedctl controller run --host-cluster-context host --log-file controller.log \
  --metrics-bind-address 0 --health-probe-bind-address 0 &
echo $! > controller.pid
fedctl join east --host-cluster-context host --label region=eu
fedctl join west --host-cluster-context host --label region=us --wait
