{{/* Labels and annotations of objects and pods. Renders no object. */}}

{{- define "respid.selectorLabels" -}}
app.kubernetes.io/name: {{ include "respid.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "respid.labels" -}}
{{ include "respid.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The labels of the helm test pod. No Service and no PodDisruptionBudget selects them. */}}
{{- define "respid.testLabels" -}}
app.kubernetes.io/name: {{ include "respid.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/*
The metadata of an object. Takes root, name and, if it has any of its own, labels and annotations. They take precedence over
commonLabels and commonAnnotations; the labels that select objects take precedence over all.
*/}}
{{- define "respid.metadata" -}}
{{- $root := .root -}}
name: {{ .name | quote }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- merge (include "respid.labels" $root | fromYaml) (.labels | default dict) ($root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- with merge dict (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The labels and annotations of a pod. Takes root, the labels that select it, labels and annotations. */}}
{{- define "respid.podMetadata" -}}
labels:
  {{- merge (fromYaml .selected) (.labels | default dict) (.root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- with merge dict (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
