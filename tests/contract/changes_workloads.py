"""Random workloads for test_changes: Pods, and the types that hold a template of them."""

from federation.model.resources import Resource
from tests.contract.dice import SELECTOR, Content, Dice

REPLICASETS = Resource("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)
REPLICATION_CONTROLLERS = Resource("", "v1", "ReplicationController", "replicationcontrollers", namespaced=True)
POD_TEMPLATES = Resource("", "v1", "PodTemplate", "podtemplates", namespaced=True)
STATEFULSETS = Resource("apps", "v1", "StatefulSet", "statefulsets", namespaced=True)
DAEMONSETS = Resource("apps", "v1", "DaemonSet", "daemonsets", namespaced=True)
JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)
CRONJOBS = Resource("batch", "v1", "CronJob", "cronjobs", namespaced=True)


def handler(dice: Dice) -> Content:
    chosen: Content = dice.one(
        {"httpGet": {"port": 80, "path": "/x"}},
        {"httpGet": {"port": 81}},
        {"httpGet": {"port": 80, "scheme": "HTTPS"}},
        {"tcpSocket": {"port": 80}},
        {"exec": {"command": ["true"]}},
    )
    return chosen


def probe(dice: Dice) -> Content:
    grpc = {"grpc": {"port": 80}}
    return {**dice.one(handler(dice), grpc), **dice.some(timeoutSeconds=3, periodSeconds=5, failureThreshold=9)}


def volume(dice: Dice, name: str) -> Content:
    source = dice.one(
        {"emptyDir": {}},
        {"emptyDir": {"medium": "Memory"}},
        {"configMap": {"name": "x"}},
        {"configMap": {"name": "x", "defaultMode": 256}},
        {"secret": {"secretName": "x"}},
        {"hostPath": {"path": "/x"}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {
            "projected": {
                "sources": [{"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.name"}}]}}]
            }
        },
        {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2026-01.example:x", "lun": 0}},
        {"ephemeral": {"volumeClaimTemplate": {"spec": claim_spec(dice)}}},
    )
    return {"name": name, **source}


def container(dice: Dice, name: str) -> Content:
    return {
        "name": name,
        "image": dice.one("web:1", "web:2", "web:latest", "web"),
        **dice.some(
            livenessProbe=lambda: probe(dice),
            readinessProbe=lambda: probe(dice),
            lifecycle=lambda: {dice.one("preStop", "postStart"): handler(dice)},
            resources=(
                {"limits": {"cpu": "1"}},
                {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
                {"requests": {"memory": "1Mi"}},
            ),
            ports=(
                [{"containerPort": 80}],
                [{"containerPort": 80, "protocol": "UDP"}],
                [{"containerPort": 80, "name": "h"}],
            ),
            env=(
                [{"name": "A", "value": "b"}],
                [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}}, {"name": "B"}],
            ),
            securityContext=({"runAsNonRoot": True}, {"capabilities": {"drop": ["ALL"]}}),
            terminationMessagePolicy="FallbackToLogsOnError",
            imagePullPolicy=("Never", "Always"),
        ),
    }


def pod(dice: Dice, restart: tuple[str, ...] = ()) -> Content:
    spec = {
        "containers": [container(dice, "c"), *([container(dice, "d")] if dice.one(True, False) else [])],
        **dice.some(
            hostNetwork=True,
            shareProcessNamespace=True,
            dnsPolicy="Default",
            terminationGracePeriodSeconds=5,
            securityContext=({"runAsUser": 5}, {"fsGroup": 2}),
            serviceAccountName=("a", "b"),
            volumes=lambda: [volume(dice, "v"), *([volume(dice, "w")] if dice.one(True, False) else [])],
            tolerations=([{"operator": "Exists"}], [{"key": "a", "operator": "Exists", "effect": "NoExecute"}]),
            topologySpreadConstraints=[
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": SELECTOR,
                }
            ],
            schedulerName="other",
            initContainers=lambda: [
                {"name": "i", "image": dice.one("i:1", "i:latest"), **dice.maybe("restartPolicy", "Always")}
            ],
        ),
    }
    if restart:
        spec["restartPolicy"] = dice.one(*restart)
    return {"metadata": {"labels": {"app": "web", **dice.some(tier="a")}}, "spec": spec}


def deployment(dice: Dice) -> Content:
    strategy = dice.maybe(
        "strategy",
        {"type": "Recreate"},
        {"type": "RollingUpdate"},
        {"rollingUpdate": {"maxSurge": 2}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
        {"type": "RollingUpdate", "rollingUpdate": {}},
    )
    return {
        "spec": {
            "selector": SELECTOR,
            "template": pod(dice),
            **strategy,
            **dice.some(replicas=(0, 2), minReadySeconds=1),
        }
    }


def statefulset(dice: Dice) -> Content:
    strategy = dice.maybe(
        "updateStrategy",
        {"type": "OnDelete"},
        {"type": "RollingUpdate"},
        {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
    )
    more = dice.some(
        replicas=2,
        persistentVolumeClaimRetentionPolicy=({"whenDeleted": "Delete"}, {"whenScaled": "Delete"}),
        ordinals={"start": 1},
    )
    return {"spec": {"selector": SELECTOR, "serviceName": "web", "template": pod(dice), **strategy, **more}}


def daemonset(dice: Dice) -> Content:
    strategy = dice.maybe(
        "updateStrategy",
        {"type": "OnDelete"},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        {"rollingUpdate": {"maxUnavailable": 2}},
    )
    return {"spec": {"selector": SELECTOR, "template": pod(dice), **strategy}}


JOB_TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "web:1"}]}}


def job(dice: Dice) -> Content:
    more = dice.some(
        parallelism=(1, 3), suspend=True, activeDeadlineSeconds=9, ttlSecondsAfterFinished=(5, 9), backoffLimit=(2, 3)
    )
    return {"metadata": {"labels": dice.some(a="b")}, "spec": {"template": JOB_TEMPLATE, **more}}


def job_spec(dice: Dice) -> Content:
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]}
    more = dice.some(
        parallelism=(1, 3), completions=(2, 4), completionMode="Indexed", backoffLimit=2, podFailurePolicy=policy
    )
    if more.get("completionMode") and "completions" not in more:
        more["completions"] = 2
    return {"template": pod(dice, ("Never",)), **more}


def cronjob(dice: Dice) -> Content:
    more = dice.some(concurrencyPolicy="Forbid", suspend=True, successfulJobsHistoryLimit=1, timeZone="Etc/UTC")
    return {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job_spec(dice)}, **more}}


def claim_spec(dice: Dice) -> Content:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {**spec, **dice.some(volumeMode="Block", storageClassName="slow")}


def replicaset(dice: Dice) -> Content:
    return {"spec": {"selector": SELECTOR, "template": pod(dice), **dice.some(replicas=(0, 2), minReadySeconds=1)}}


def replication_controller(dice: Dice) -> Content:
    return {"spec": {"template": pod(dice), **dice.some(replicas=(0, 2), selector={"app": "web"})}}


def pod_template(dice: Dice) -> Content:
    return {"template": pod(dice)}
