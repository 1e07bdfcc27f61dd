{{/* Fails, with advice, for values that cannot work together. What one value may be is the schema's. */}}
{{- define "respid.refuse" -}}
{{- include "respid.refuseWorkers" . }}
{{- include "respid.refuseTimes" . }}
{{- include "respid.refuseSecrets" . }}
{{- include "respid.refuseScrapes" . }}
{{- include "respid.refuseLayoutChange" . }}
{{- if and .Values.networkPolicy.enabled (eq .Values.store "lease") (not .Values.networkPolicy.apiServerPorts) }}
{{- fail "networkPolicy.apiServerPorts is empty, which would let the pods go anywhere: name the API server's ports, such as [443, 6443]" }}
{{- end }}
{{- $budget := .Values.podDisruptionBudget }}
{{- if not (or (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) }}
{{- fail "podDisruptionBudget has both minAvailable and maxUnavailable, and Kubernetes takes one: set the other to null" }}
{{- end }}
{{- $names := list }}
{{- range fromYamlArray (include "respid.env" .) }}{{ $names = append $names .name }}{{ end }}
{{- range .Values.extraEnv }}
{{- if has .name (list "WORKER_ID" "RESPID_WORKER_ID" "POD_NAME") }}
{{- fail (printf "extraEnv holds %s, which would give all pods the same worker ID: remove it; the chart sets it from each pod's index. To use other worker IDs, set workerIdOffset" .name) }}
{{- end }}
{{- if has .name $names }}
{{- fail (printf "extraEnv holds %s, which the chart sets: use the value that it is made from (see values.yaml)" .name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.refuseWorkers" -}}
{{- $bits := splitList "/" .Values.layout }}
{{- $sum := 0 }}
{{- range $bits }}{{ $sum = add $sum (int .) }}{{ end }}
{{- if gt $sum 63 }}
{{- fail (printf "layout %s has %d bits, and an ID has at most 63: take some from the timestamp, 41 bits of which last 69 years" .Values.layout $sum) }}
{{- end }}
{{- $autoscaling := .Values.autoscaling }}
{{- $name := $autoscaling.enabled | ternary "autoscaling.maxReplicas" "replicaCount" }}
{{- $most := $autoscaling.enabled | ternary $autoscaling.maxReplicas .Values.replicaCount | int }}
{{- $ids := include "respid.workerIds" . | int }}
{{- $offset := int .Values.workerIdOffset }}
{{- if gt (add $most $offset) $ids }}
{{- fail (printf "%s %d + workerIdOffset %d is more than the %d worker IDs of layout %s: lower one of the two, or give the layout more worker bits" $name $most $offset $ids .Values.layout) }}
{{- end }}
{{- if and $autoscaling.enabled (gt (int $autoscaling.minReplicas) $most) }}
{{- fail (printf "autoscaling.minReplicas %d is above autoscaling.maxReplicas %d: lower the one or raise the other" (int $autoscaling.minReplicas) $most) }}
{{- end }}
{{- end }}

{{- define "respid.refuseTimes" -}}
{{- $drain := float64 .Values.drainDelaySeconds }}
{{- if le (float64 .Values.terminationGracePeriodSeconds) (addf $drain 16) }}
{{- fail (printf "terminationGracePeriodSeconds %v is not above drainDelaySeconds %v + 16: after the drain a worker has 10 seconds for requests and 6 for its store; raise the one or lower the other" .Values.terminationGracePeriodSeconds .Values.drainDelaySeconds) }}
{{- end }}
{{- $reserve := float64 .Values.lease.reserveSeconds }}
{{- if and (eq .Values.store "lease") (gt (mulf 2 $reserve) (float64 .Values.maxClockLeadSeconds)) }}
{{- fail (printf "lease.reserveSeconds %v is more than half of maxClockLeadSeconds %v: a worker that starts again could lead its clock by too much; lower the one or raise the other" .Values.lease.reserveSeconds .Values.maxClockLeadSeconds) }}
{{- end }}
{{- end }}

{{/* A rolling upgrade has old and new workers side by side, and IDs of two layouts can be equal. */}}
{{- define "respid.refuseLayoutChange" -}}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "respid.fullname" .) | default dict }}
{{- if gt (dig "spec" "replicas" 0 $live | int) 0 }}
{{- $wanted := dict "RESPID_LAYOUT" .Values.layout "RESPID_EPOCH" (include "respid.number" .Values.epoch) }}
{{- range (first $live.spec.template.spec.containers).env }}
{{- if and (hasKey $wanted .name) (ne .value (get $wanted .name)) }}
{{- fail (printf "the running workers have %s=%s, and this upgrade sets %s: IDs of the two can be equal, and a rolling upgrade has both at a time; stop all workers first (docs/kubernetes.md)" .name .value (get $wanted .name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.refuseScrapes" -}}
{{- $monitor := .Values.serviceMonitor }}
{{- if $monitor.enabled }}
{{- $interval := include "respid.seconds" $monitor.interval | float64 }}
{{- if gt (include "respid.seconds" $monitor.scrapeTimeout | float64) $interval }}
{{- fail (printf "serviceMonitor.scrapeTimeout %s is longer than serviceMonitor.interval %s, which Prometheus refuses: lower the one or raise the other" $monitor.scrapeTimeout $monitor.interval) }}
{{- end }}
{{- $keda := .Values.autoscaling.keda }}
{{- if and .Values.autoscaling.enabled $keda.enabled (lt (float64 $keda.windowSeconds) (mulf 2 $interval)) }}
{{- fail (printf "autoscaling.keda.windowSeconds %v holds fewer than two scrapes at serviceMonitor.interval %s, so its queries would never have a value: set it to four times the interval" $keda.windowSeconds $monitor.interval) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The seconds of a duration such as 1m30s. */}}
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
{{- fail (printf "tls.port and service.port are both %d: the Service needs two, or tls.only" (int .port)) }}
{{- end }}
{{- if and .enabled (not .existingSecret) }}
{{- fail "tls.enabled needs tls.existingSecret, a Secret with tls.crt and tls.key: kubectl create secret tls NAME --cert FILE --key FILE, or cert-manager" }}
{{- end }}
{{- if and .only (not .enabled) }}
{{- fail "tls.only without tls.enabled leaves no port to serve on: enable TLS, or set tls.only to false" }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if and .username (not .existingSecret) }}
{{- fail (printf "auth.username %s has no password: name the Secret that holds it in auth.existingSecret" .username) }}
{{- end }}
{{- end }}
{{- end }}
