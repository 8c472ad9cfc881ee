{{- /* spec of the KubeFedConfig: only what the values set, so that the controller's defaults stay its own. */}}
{{- define "federation.config" -}}
{{- $values := .Values.controllermanager -}}
{{- $spec := dict "scope" .Values.global.scope -}}
{{- $blocks := dict
  "controllerDuration" (dict
    "availableDelay" $values.clusterAvailableDelay
    "unavailableDelay" $values.clusterUnavailableDelay
    "cacheSyncTimeout" $values.cacheSyncTimeout)
  "leaderElect" (dict
    "leaseDuration" $values.leaderElectLeaseDuration
    "renewDeadline" $values.leaderElectRenewDeadline
    "retryPeriod" $values.leaderElectRetryPeriod
    "warmStandby" $values.leaderElectWarmStandby)
  "clusterHealthCheck" (dict
    "period" $values.clusterHealthCheckPeriod
    "failureThreshold" $values.clusterHealthCheckFailureThreshold
    "successThreshold" $values.clusterHealthCheckSuccessThreshold
    "timeout" $values.clusterHealthCheckTimeout)
  "syncController" $values.syncController
  "statusController" $values.statusController
  "deletionBudget" $values.deletionBudget
  "recovery" $values.recovery
  "pull" $values.pull -}}
{{- range $block, $fields := $blocks -}}
  {{- $set := dict -}}
  {{- range $field, $value := $fields -}}
    {{- if ne (toString $value) "" -}}
      {{- $_ := set $set $field (ternary (int $value) $value (or (hasSuffix "Threshold" $field) (hasSuffix "Reconciles" $field) (has $field (list "percent" "minimum" "bundleBytes")))) -}}
    {{- end -}}
  {{- end -}}
  {{- if $set -}}{{- $_ := set $spec $block $set -}}{{- end -}}
{{- end -}}
{{- $gates := list -}}
{{- range $name, $configuration := $values.featureGates -}}
  {{- $gates = append $gates (dict "name" $name "configuration" $configuration) -}}
{{- end -}}
{{- if $gates -}}{{- $_ := set $spec "featureGates" $gates -}}{{- end -}}
{{- toYaml $spec -}}
{{- end -}}
