{{/* Fails, with advice, if values conflict with each other. The schema checks each value on its own. */}}
{{- define "respid.refuse" -}}
{{- include "respid.refuseWorkers" . }}
{{- include "respid.refuseTimes" . }}
{{- include "respid.refuseSecrets" . }}
{{- include "respid.refuseScrapes" . }}
{{- include "respid.refuseLayoutChange" . }}
{{- if and .Values.networkPolicy.enabled (eq .Values.store "lease") (not .Values.networkPolicy.apiServerPorts) }}
{{- fail "networkPolicy.apiServerPorts is empty, which would allow connections to any port: list the API server's ports, such as [443, 6443]" }}
{{- end }}
{{- $budget := .Values.podDisruptionBudget }}
{{- if not (or (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) }}
{{- fail "podDisruptionBudget has both minAvailable and maxUnavailable, but Kubernetes accepts only one: set the other to null" }}
{{- end }}
{{- $names := list }}
{{- range fromYamlArray (include "respid.env" .) }}{{ $names = append $names .name }}{{ end }}
{{- range .Values.extraEnv }}
{{- if has .name (list "WORKER_ID" "RESPID_WORKER_ID" "POD_NAME") }}
{{- fail (printf "extraEnv contains %s, which would give all pods the same worker ID: remove it; the chart sets it from each pod's index. To use other worker IDs, set workerIdOffset" .name) }}
{{- end }}
{{- if has .name $names }}
{{- fail (printf "extraEnv contains %s, which the chart sets itself: use the corresponding value instead (see values.yaml)" .name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.refuseWorkers" -}}
{{- $bits := splitList "/" .Values.layout }}
{{- $sum := 0 }}
{{- range $bits }}{{ $sum = add $sum (int .) }}{{ end }}
{{- if gt $sum 63 }}
{{- fail (printf "layout %s has %d bits, but an ID has at most 63: use fewer, for example for the timestamp (41 bits last 69 years)" .Values.layout $sum) }}
{{- end }}
{{- $autoscaling := .Values.autoscaling }}
{{- $name := $autoscaling.enabled | ternary "autoscaling.maxReplicas" "replicaCount" }}
{{- $most := $autoscaling.enabled | ternary $autoscaling.maxReplicas .Values.replicaCount | int }}
{{- $ids := include "respid.workerIds" . | int }}
{{- $offset := int .Values.workerIdOffset }}
{{- if gt (add $most $offset) $ids }}
{{- fail (printf "%s %d + workerIdOffset %d is more than the %d worker IDs of layout %s: lower one of them, or use a layout with more worker bits" $name $most $offset $ids .Values.layout) }}
{{- end }}
{{- if and $autoscaling.enabled (gt (int $autoscaling.minReplicas) $most) }}
{{- fail (printf "autoscaling.minReplicas %d is greater than autoscaling.maxReplicas %d: lower the first or raise the second" (int $autoscaling.minReplicas) $most) }}
{{- end }}
{{- end }}

{{- define "respid.refuseTimes" -}}
{{- $drain := float64 .Values.drainDelaySeconds }}
{{- if le (float64 .Values.terminationGracePeriodSeconds) (addf $drain 16) }}
{{- fail (printf "terminationGracePeriodSeconds %v must be greater than drainDelaySeconds %v + 16, because after the drain delay a worker takes up to 10 seconds for requests and 6 for its store: raise the first or lower the second" .Values.terminationGracePeriodSeconds .Values.drainDelaySeconds) }}
{{- end }}
{{- $reserve := float64 .Values.lease.reserveSeconds }}
{{- if and (eq .Values.store "lease") (gt (mulf 2 $reserve) (float64 .Values.maxClockLeadSeconds)) }}
{{- fail (printf "lease.reserveSeconds %v is more than half of maxClockLeadSeconds %v, so a restarted worker could be too far ahead of its clock: lower the first or raise the second" .Values.lease.reserveSeconds .Values.maxClockLeadSeconds) }}
{{- end }}
{{- end }}

{{/* A rolling upgrade runs old and new workers side by side, and IDs of two layouts can be equal. */}}
{{- define "respid.refuseLayoutChange" -}}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "respid.fullname" .) | default dict }}
{{- if gt (dig "spec" "replicas" 0 $live | int) 0 }}
{{- $wanted := dict "RESPID_LAYOUT" .Values.layout "RESPID_EPOCH" (include "respid.number" .Values.epoch) }}
{{- range (first $live.spec.template.spec.containers).env }}
{{- if and (hasKey $wanted .name) (ne .value (get $wanted .name)) }}
{{- fail (printf "the running workers have %s=%s, and this upgrade changes it to %s: a rolling upgrade would run both at the same time, and their IDs can be equal; stop all workers first (see docs/kubernetes.md)" .name .value (get $wanted .name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.refuseScrapes" -}}
{{- $monitor := .Values.serviceMonitor }}
{{- if $monitor.enabled }}
{{- $interval := include "respid.seconds" $monitor.interval | float64 }}
{{- if gt (include "respid.seconds" $monitor.scrapeTimeout | float64) $interval }}
{{- fail (printf "serviceMonitor.scrapeTimeout %s is longer than serviceMonitor.interval %s, which Prometheus rejects: lower the first or raise the second" $monitor.scrapeTimeout $monitor.interval) }}
{{- end }}
{{- $keda := .Values.autoscaling.keda }}
{{- if and .Values.autoscaling.enabled $keda.enabled (lt (float64 $keda.windowSeconds) (mulf 2 $interval)) }}
{{- fail (printf "autoscaling.keda.windowSeconds %v spans fewer than two scrapes at serviceMonitor.interval %s, so its queries would never have a result: set it to four times the interval" $keda.windowSeconds $monitor.interval) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Converts a duration such as 1m30s to seconds. */}}
{{- define "respid.seconds" -}}
{{- $seconds := 0.0 }}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 }}
{{- $unit := dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 }}
{{- $seconds = addf $seconds (mulf (regexFind "[0-9]+" . | float64) (get $unit (regexFind "[a-z]+" .))) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- define "respid.refuseSecrets" -}}
{{- with .Values.tls }}
{{- if and .enabled (not .only) (eq (int .port) (int $.Values.service.port)) }}
{{- fail (printf "tls.port and service.port are both %d: use two different ports, or set tls.only" (int .port)) }}
{{- end }}
{{- if and .enabled (not .existingSecret) }}
{{- fail "tls.enabled requires tls.existingSecret, a Secret with tls.crt and tls.key: create it with kubectl create secret tls NAME --cert FILE --key FILE, or with cert-manager" }}
{{- end }}
{{- if and .only (not .enabled) }}
{{- fail "tls.only without tls.enabled leaves no port to serve on: set tls.enabled to true, or tls.only to false" }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if and .username (not .existingSecret) }}
{{- fail (printf "auth.username %s has no password: set auth.existingSecret to the name of the Secret that contains it" .username) }}
{{- end }}
{{- end }}
{{- end }}
