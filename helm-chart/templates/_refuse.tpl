{{/* Fails, with advice, if a text has another format, or values conflict with each other. The schema checks types and bounds. */}}
{{- define "respid.refuse" -}}
{{- include "respid.refuseFormats" . }}
{{- include "respid.refuseName" . }}
{{- include "respid.refuseWorkers" . }}
{{- include "respid.refuseTimes" . }}
{{- include "respid.refuseSecrets" . }}
{{- include "respid.refuseScrapes" . }}
{{- include "respid.refuseService" . }}
{{- include "respid.refuseMemory" . }}
{{- include "respid.refuseChange" . }}
{{- include "respid.refuseRename" . }}
{{- if and .Values.networkPolicy.enabled (eq .Values.store "lease") (not .Values.networkPolicy.apiServerPorts) }}
{{- fail "networkPolicy.apiServerPorts is empty, which would allow connections to any port: list the API server's ports, such as [443, 6443]" }}
{{- end }}
{{- range $name := list "podSecurityContext" "securityContext" }}
{{- if hasKey (get $.Values $name | default dict) "enabled" }}
{{- fail (printf "%s.enabled is a value of other charts, and no field of Kubernetes: remove it, or set %s to null for none" $name $name) }}
{{- end }}
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

{{/* A template that computes with such a text includes this first, because Helm renders the templates in any order. */}}
{{- define "respid.refuseFormats" -}}
{{- range $format := .Files.Get "files/formats.yaml" | fromYamlArray }}
{{- range $path := $format.values }}
{{- $given := $.Values }}
{{- range splitList "." $path }}{{ $given = index ($given | default dict) . }}{{ end }}
{{- range kindIs "slice" $given | ternary $given (list $given) }}
{{- if and (kindIs "string" .) (not (regexMatch $format.pattern .)) }}
{{- include "respid.refuseValue" (printf "%s %q %s" $path . $format.advice) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (not (kindIs "string" .Values.startAbove)) (gt (float64 .Values.startAbove) 9007199254740991.0) }}
{{- include "respid.refuseValue" (printf "startAbove %v is a number, which Helm may round: write the ID in quotes, or use --set-string startAbove=ID" .Values.startAbove) }}
{{- end }}
{{- end }}

{{/* Fails with this advice. `helm lint` ignores `fail`: there, the advice is the name of a template that is missing. */}}
{{- define "respid.refuseValue" -}}
{{- fail . }}
{{- include . . }}
{{- end }}

{{/* A limit in another notation than these is not compared. */}}
{{- define "respid.refuseMemory" -}}
{{- $limit := ((.Values.resources).limits).memory | default "" | toString }}
{{- $factor := get (dict "Mi" 1048576 "Gi" 1073741824 "M" 1000000 "G" 1000000000) (regexFind "[A-Za-z]+$" $limit) | default 0 }}
{{- $half := div (mul (regexFind "^[0-9]+" $limit | int64) $factor) 2 }}
{{- if and (regexMatch "^[0-9]+[MG]i?$" $limit) (gt (int64 .Values.maxClientMemoryBytes) $half) }}
{{- fail (printf "maxClientMemoryBytes %d is more than half of the memory limit %s, which the worker itself needs: lower the first, or raise resources.limits.memory" (int64 .Values.maxClientMemoryBytes) $limit) }}
{{- end }}
{{- end }}

{{/* The names of Services have no dots and begin with a letter, unlike those of releases. */}}
{{- define "respid.refuseName" -}}
{{- $name := include "respid.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "the Service would have the name %s, but a name has only lower-case letters, digits and hyphens, and begins with a letter: set fullnameOverride" $name) }}
{{- end }}
{{- end }}

{{- define "respid.refuseService" -}}
{{- $service := .Values.service }}
{{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if and (get $service $name) (ne $service.type "LoadBalancer") }}
{{- fail (printf "service.%s needs service.type LoadBalancer, not %s" $name $service.type) }}
{{- end }}
{{- end }}
{{- if and (ne $service.type "ClusterIP") (not (include "respid.isAuthenticated" .)) (not $service.allowUnauthenticated) }}
{{- fail (printf "service.type %s without a password lets anyone who reaches it draw IDs: set auth.existingSecret, or tls.only with tls.authClients \"yes\"; or allow it with service.allowUnauthenticated: true" $service.type) }}
{{- end }}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") }}
{{- fail "service.externalTrafficPolicy needs service.type LoadBalancer or NodePort, not ClusterIP" }}
{{- end }}
{{- end }}

{{- define "respid.refuseWorkers" -}}
{{- $bits := include "respid.layoutBits" . | fromYamlArray }}
{{- $sum := 0 }}
{{- range $bits }}{{ $sum = add $sum (int .) }}{{ end }}
{{- if gt $sum 63 }}
{{- fail (printf "layout %s has %d bits, but an ID has at most 63: use fewer, for example for the timestamp (41 bits last 69 years)" .Values.layout $sum) }}
{{- end }}
{{- $autoscaling := .Values.autoscaling }}
{{- $name := $autoscaling.enabled | ternary "autoscaling.maxReplicas" "replicaCount" }}
{{- $most := include "respid.mostWorkers" . | int }}
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

{{/* A rolling upgrade runs old and new workers at the same time, and their IDs can be equal, or one waits for the other. */}}
{{- define "respid.refuseChange" -}}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "respid.fullname" .) | default dict }}
{{- $running := max (dig "spec" "replicas" 0 $live | int) (dig "status" "replicas" 0 $live | int) }}
{{- $wanted := include "respid.identity" . | fromYaml }}
{{- range dig "spec" "template" "spec" "containers" (list dict) $live | first | dig "env" list }}
{{- if and $running (hasKey $wanted .name) (ne .value (get $wanted .name)) }}
{{- fail (printf "the running workers have %s=%s, and this upgrade changes it to %s: a rolling upgrade would run both at the same time, and their IDs could be equal; stop all workers first (see docs/transitions.md)" .name .value (get $wanted .name)) }}
{{- end }}
{{- end }}
{{- if $live }}
{{- $claims := dig "spec" "volumeClaimTemplates" list $live }}
{{- $former := (empty $claims) | ternary "" (dig "metadata" "annotations" "respid.io/issues" "" (first ($claims | default (list dict)))) }}
{{- $current := (eq .Values.store "file") | ternary (include "respid.issues" .) "" }}
{{- if ne $former $current }}
{{- fail (printf "the StatefulSet's volumes are for %s, and this upgrade needs them for %s, which Kubernetes does not change; stop all workers, then: kubectl -n %s delete statefulset %s (its volumes stay), and upgrade again (see docs/transitions.md)" (default "no worker" $former | quote) (default "no worker" $current | quote) .Release.Namespace (include "respid.fullname" .)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* All StatefulSets are listed only if there is none of the name, because not every user who may upgrade may list them. */}}
{{- define "respid.refuseRename" -}}
{{- $name := include "respid.fullname" . }}
{{- if and .Release.IsUpgrade (not (lookup "apps/v1" "StatefulSet" .Release.Namespace $name)) }}
{{- range (lookup "apps/v1" "StatefulSet" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- $isOurs := and (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) (regexMatch (printf "^%s-[0-9]+[.]" $.Chart.Name) (get $labels "helm.sh/chart")) }}
{{- if and $isOurs (max (dig "spec" "replicas" 0 . | int) (dig "status" "replicas" 0 . | int)) }}
{{- fail (printf "the workers of StatefulSet %s run, and this upgrade renames it to %s: Helm would delete their Role before they have given up their worker IDs, and the new workers would wait for these, or not see how far IDs were issued (store file); stop all workers first (see docs/transitions.md)" .metadata.name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.refuseScrapes" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both true, so every pod would be scraped twice: enable only one of them" }}
{{- end }}
{{- range $name := list "serviceMonitor" "podMonitor" }}
{{- $monitor := get $.Values $name }}
{{- if $monitor.enabled }}
{{- $interval := include "respid.seconds" $monitor.interval | float64 }}
{{- if gt (include "respid.seconds" $monitor.scrapeTimeout | float64) $interval }}
{{- fail (printf "%s.scrapeTimeout %s is longer than %s.interval %s, which Prometheus rejects: lower the first or raise the second" $name $monitor.scrapeTimeout $name $monitor.interval) }}
{{- end }}
{{- $keda := $.Values.autoscaling.keda }}
{{- if and $.Values.autoscaling.enabled $keda.enabled (lt (float64 $keda.windowSeconds) (mulf 2 $interval)) }}
{{- fail (printf "autoscaling.keda.windowSeconds %v spans fewer than two scrapes at %s.interval %s, so its queries would never have a result: set it to four times the interval" $keda.windowSeconds $name $monitor.interval) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name := list "serverAddress" "threshold" "ignoreNullValues" "query" }}
{{- if hasKey ($.Values.autoscaling.keda.triggerMetadata | default dict) $name }}
{{- fail (printf "autoscaling.keda.triggerMetadata contains %s, which the chart sets itself: use the other values of autoscaling.keda instead (see values.yaml)" $name) }}
{{- end }}
{{- end }}
{{- $labels := .Values.prometheusLabels }}
{{- if ne (empty $labels.cluster) (empty $labels.clusterName) }}
{{- fail "prometheusLabels.cluster and prometheusLabels.clusterName belong together: set both, such as cluster and eu-1, or neither" }}
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
{{- if and .enabled (not .existingSecret) (not .certManager.enabled) }}
{{- fail "tls.enabled requires tls.existingSecret, a Secret with tls.crt and tls.key: create it with kubectl create secret tls NAME --cert FILE --key FILE, or set tls.certManager.enabled" }}
{{- end }}
{{- if and .certManager.enabled (not .enabled) }}
{{- fail "tls.certManager.enabled without tls.enabled creates a certificate that nothing uses: set tls.enabled to true" }}
{{- end }}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) }}
{{- fail "tls.certManager.enabled requires tls.certManager.issuerRef: set its name and kind (Issuer or ClusterIssuer)" }}
{{- end }}
{{- if and .clientNames (not (and .enabled (eq (include "respid.authClients" $) "yes"))) }}
{{- fail "tls.clientNames needs tls.enabled and tls.authClients \"yes\", or clients without a name get in" }}
{{- end }}
{{- if and .crl.existingConfigMap (or (not .enabled) (eq (include "respid.authClients" $) "no")) }}
{{- fail "tls.crl.existingConfigMap needs tls.enabled and tls.authClients \"yes\" or \"optional\": without them, no client certificate is verified" }}
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
