{{/* Who sets the number of workers: keda, hpa or nobody. */}}
{{- define "respid.autoscaler" -}}
{{- if not .Values.autoscaling.enabled }}nobody
{{- else if and .Values.autoscaling.keda.enabled (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") }}keda
{{- else }}hpa
{{- end }}
{{- end }}

{{/*
The HPA's name, KEDA's or the chart's own. KEDA takes over the chart's only if it has the same name. On the way back it
must be another: an HPA that belongs to a ScaledObject is deleted with it. So there are two names, and which one is in use
can be seen in the cluster alone; without one to look at (helm template) it is the first.
*/}}
{{- define "respid.hpaName" -}}
{{- $first := include "respid.fullname" . }}
{{- $second := printf "%s-hpa" $first }}
{{- $firstOwner := include "respid.hpaOwner" (list . $first) }}
{{- $secondOwner := include "respid.hpaOwner" (list . $second) }}
{{- $isSecond := or (eq $firstOwner "keda") (and (eq $secondOwner "helm") (not $firstOwner)) }}
{{- if eq (include "respid.autoscaler" .) "keda" }}
{{- $isSecond = and $secondOwner (not $firstOwner) }}
{{- end }}
{{- if $isSecond }}{{ $second }}{{ else }}{{ $first }}{{ end }}
{{- end }}

{{/* Whose an HPA in the cluster is, by its name: keda, helm, or empty when there is none. */}}
{{- define "respid.hpaOwner" -}}
{{- $root := index . 0 }}
{{- with lookup "autoscaling/v2" "HorizontalPodAutoscaler" $root.Release.Namespace (index . 1) }}
{{- $owner := "helm" }}
{{- range .metadata.ownerReferences }}
{{- if eq .kind "ScaledObject" }}{{ $owner = "keda" }}{{ end }}
{{- end }}
{{- $owner }}
{{- end }}
{{- end }}

{{/* How many IDs a second a worker should be asked for on average. */}}
{{- define "respid.idsPerWorker" -}}
{{- mulf (include "respid.idsPerSecond" .) .Values.autoscaling.keda.targetUtilization | floor | int64 | max 1 }}
{{- end }}

{{/* A trigger on a query; a missing scrape is an error, not a zero. Takes root, name, threshold and query. */}}
{{- define "respid.prometheusTrigger" -}}
{{- $keda := .root.Values.autoscaling.keda -}}
- type: prometheus
  name: {{ .name }}
  metricType: AverageValue
  metadata:
    serverAddress: {{ $keda.prometheusServerAddress | quote }}
    threshold: {{ .threshold | quote }}
    ignoreNullValues: "false"
    query: {{ .query | quote }}
    {{- range $name, $value := $keda.triggerMetadata }}
    {{ $name }}: {{ $value | quote }}
    {{- end }}
  {{- with $keda.authenticationRef }}
  authenticationRef:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
