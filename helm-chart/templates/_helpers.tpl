{{- define "respid.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters: Kubernetes labels a StatefulSet's pods with its name and 11 more, and a label holds 63. */}}
{{- define "respid.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "respid.name" . }}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The Service that gives the pods their names, and the only one with the metrics port, so that no pod is scraped twice. */}}
{{- define "respid.headlessName" -}}
{{ include "respid.fullname" . }}-headless
{{- end }}

{{- define "respid.selectorLabels" -}}
app.kubernetes.io/name: {{ include "respid.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "respid.labels" -}}
{{ include "respid.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "respid.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "respid.fullname" .) "default") }}
{{- end }}

{{/* A number as text: Helm reads 1704067200000 as a float and would print 1.7040672e+12. */}}
{{- define "respid.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* How many values fit into so many bits. */}}
{{- define "respid.powerOfTwo" -}}
{{- $power := 1 }}
{{- range until (int .) }}{{ $power = mul 2 $power }}{{ end }}
{{- $power }}
{{- end }}

{{/* How many worker IDs the layout has. */}}
{{- define "respid.workerIds" -}}
{{- include "respid.powerOfTwo" (index (splitList "/" .Values.layout) 1) }}
{{- end }}

{{/* How many IDs a second a worker can issue: its sequence, a thousand times. */}}
{{- define "respid.idsPerSecond" -}}
{{- mul 1000 (include "respid.powerOfTwo" (index (splitList "/" .Values.layout) 2)) }}
{{- end }}

{{/* The labels of the pod of helm test, which no Service and no budget selects. */}}
{{- define "respid.testLabels" -}}
app.kubernetes.io/name: {{ include "respid.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
