{{/* The labels of this release's samples, as a PromQL selector without its braces. */}}
{{- define "respid.query.selector" -}}
{{- with .Values.prometheusLabels.namespace }}{{ . }}="{{ $.Release.Namespace }}",{{ end }}
{{- with .Values.prometheusLabels.service }}{{ . }}="{{ include "respid.headlessName" $ }}"{{ end }}
{{- end }}

{{- define "respid.query.exhausted" -}}
{{- if .Values.autoscaling.keda.queries.exhausted }}{{ .Values.autoscaling.keda.queries.exhausted }}
{{- else }}
{{- $threshold := include "respid.number" .Values.autoscaling.keda.threshold }}
{{- $selector := include "respid.query.selector" . -}}
(sum(increase(id_generator_sequence_exhausted_total{ {{- $selector }},request="single"}[1m])) > bool {{ $threshold }}) * {{ $threshold }} * (count(id_generator_worker_id{ {{- $selector -}} }) + 1)
{{- end }}
{{- end }}

{{- define "respid.query.ids" -}}
{{- if .Values.autoscaling.keda.queries.ids }}{{ .Values.autoscaling.keda.queries.ids }}
{{- else -}}
sum(rate(id_generator_ids_generated_total{ {{- include "respid.query.selector" . -}} }[1m]))
{{- end }}
{{- end }}
