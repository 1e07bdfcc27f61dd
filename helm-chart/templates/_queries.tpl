{{/* PromQL queries over this release's samples, used by the ScaledObject, NOTES.txt and the alerts. Renders no object. */}}

{{/* The PromQL selector of this release's samples, without the braces. */}}
{{- define "respid.query.selector" -}}
{{- $matchers := list }}
{{- with .Values.prometheusLabels.cluster }}{{ $matchers = append $matchers (printf "%s=%q" . $.Values.prometheusLabels.clusterName) }}{{ end }}
{{- with .Values.prometheusLabels.namespace }}{{ $matchers = append $matchers (printf "%s=%q" . $.Release.Namespace) }}{{ end }}
{{- with .Values.prometheusLabels.service }}{{ $matchers = append $matchers (printf "%s=%q" . (include "respid.headlessName" $)) }}{{ end }}
{{- join "," $matchers }}
{{- end }}

{{/*
The query of the first trigger. While more sequences per minute than the threshold are exhausted, it returns the threshold times
the wanted number of workers, otherwise 0. Without samples it has no result, so that a missing scrape does not look like an idle
worker.

- KEDA's AverageValue asks for value / threshold pods, rounded up. An HPA ignores differences within 10 % of the current number,
  so from 10 pods on, one more would have no effect. The query therefore adds one pod for every ten.
- Pods are counted by worker ID, so that a pod that is being replaced, and may appear twice, counts once.
- It asks for at most twice the pods that the rate of IDs needs, or twice minReplicas. Traffic follows new pods within a minute or
  so, and without a limit it would ask for more all the while. No number of pods helps a single connection, or clients that stay.
- Bulk requests are excluded, because they wait as a result of their size.
*/}}
{{- define "respid.query.exhausted" -}}
{{- with .Values.autoscaling.keda }}
{{- if .queries.exhausted }}
{{- .queries.exhausted }}
{{- else }}
{{- $threshold := include "respid.number" .threshold }}
{{- $window := int .windowSeconds }}
{{- $selector := include "respid.query.selector" $ }}
{{- $limit := eq $window 60 | ternary $threshold (printf "%s * %d / 60" $threshold $window) }}
{{- $single := list $selector "request!=\"bulk\"" | compact | join "," -}}
{{ $threshold }} * (sum(increase(id_generator_sequence_exhausted_total{ {{- $single -}} }[{{ $window }}s])) > bool {{ $limit }})
  * clamp_max(
    floor(1.1 * count(count by (worker_id) (id_generator_info{ {{- $selector -}} }))) + 1,
    scalar(2 * clamp_min(ceil(sum(rate(id_generator_ids_generated_total{ {{- $selector -}} }[{{ $window }}s])) / {{ include "respid.idsPerWorker" $ }}), {{ int $.Values.autoscaling.minReplicas }}))
  )
{{- end }}
{{- end }}
{{- end }}

{{/* The query of the second trigger: IDs per second of all workers. */}}
{{- define "respid.query.ids" -}}
{{- with .Values.autoscaling.keda }}
{{- if .queries.ids }}
{{- .queries.ids }}
{{- else -}}
sum(rate(id_generator_ids_generated_total{ {{- include "respid.query.selector" $ -}} }[{{ int .windowSeconds }}s]))
{{- end }}
{{- end }}
{{- end }}

{{/* The settings that an endpoint of a ServiceMonitor and of a PodMonitor have in common. Takes the values of one. */}}
{{- define "respid.endpoint" -}}
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- include "respid.relabelings" . | trim | nindent 2 }}
{{- end }}
{{- end }}

{{/* Relabelings with the action that the API server would add. Without it, Argo CD shows a difference for ever. */}}
{{- define "respid.relabelings" -}}
{{- range . }}
- {{ merge dict . (dict "action" "replace") | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}
