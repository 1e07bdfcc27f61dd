{{- define "respid.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters: Kubernetes labels the pods of a StatefulSet with its name plus 11 characters, and a label has at most 63. */}}
{{- define "respid.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "respid.name" . }}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The Service that gives the pods their DNS names. Only this one has the metrics port, so that no pod is scraped twice. */}}
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

{{/* A number as text. Helm reads 1704067200000 as a float and would print 1.7040672e+12. */}}
{{- define "respid.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* The number of values that fit into this many bits. */}}
{{- define "respid.powerOfTwo" -}}
{{- $power := 1 }}
{{- range until (int .) }}{{ $power = mul 2 $power }}{{ end }}
{{- $power }}
{{- end }}

{{/* The number of worker IDs in the layout. */}}
{{- define "respid.workerIds" -}}
{{- include "respid.powerOfTwo" (index (splitList "/" .Values.layout) 1) }}
{{- end }}

{{/* The number of IDs a worker can issue per second: the size of its sequence times 1,000. */}}
{{- define "respid.idsPerSecond" -}}
{{- mul 1000 (include "respid.powerOfTwo" (index (splitList "/" .Values.layout) 2)) }}
{{- end }}

{{/* The labels of the helm test pod. No Service and no PodDisruptionBudget selects them. */}}
{{- define "respid.testLabels" -}}
app.kubernetes.io/name: {{ include "respid.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
