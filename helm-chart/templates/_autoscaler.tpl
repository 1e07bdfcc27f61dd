{{/* The autoscaler that sets the number of workers: keda, hpa or none. */}}
{{- define "respid.autoscaler" -}}
{{- if not .Values.autoscaling.enabled }}none
{{- else if and .Values.autoscaling.keda.enabled (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") }}keda
{{- else }}hpa
{{- end }}
{{- end }}

{{/*
The name of the HPA, whether KEDA's or the chart's own. KEDA takes over the chart's HPA only if both have the same name. When
switching back, the name must differ, because an HPA that belongs to a ScaledObject is deleted with it. So there are two names,
and only the cluster knows which one is in use. Without a cluster (helm template, Argo CD), it is the first one unless
autoscaling.hpaName is set.
*/}}
{{- define "respid.hpaName" -}}
{{- .Values.autoscaling.hpaName | default (include "respid.foundHpaName" .) }}
{{- end }}

{{- define "respid.foundHpaName" -}}
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

{{/* The owner of the HPA with that name in the cluster: keda, helm, or empty if there is none. */}}
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

{{/* The target of IDs per second for one worker. */}}
{{- define "respid.idsPerWorker" -}}
{{- mulf (include "respid.idsPerSecond" .) .Values.autoscaling.keda.targetUtilization | floor | int64 | max 1 }}
{{- end }}

{{/* A trigger on a Prometheus query. A missing scrape is an error, not 0. Takes root, name, threshold and query. */}}
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
