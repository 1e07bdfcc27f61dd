{{/* PromQL over this release's samples, used by the ScaledObject, NOTES.txt and the alerts. Renders no object. */}}

{{/* The labels of this release's samples, as a PromQL selector without its braces. */}}
{{- define "respid.query.selector" -}}
{{- $matchers := list }}
{{- with .Values.prometheusLabels.namespace }}{{ $matchers = append $matchers (printf "%s=%q" . $.Release.Namespace) }}{{ end }}
{{- with .Values.prometheusLabels.service }}{{ $matchers = append $matchers (printf "%s=%q" . (include "respid.headlessName" $)) }}{{ end }}
{{- join "," $matchers }}
{{- end }}

{{/*
The first trigger, in the unit of its threshold: so many times the threshold as there should be workers, while more than
the threshold's number of sequences a minute ran out; else 0. No sample, no value: a missing scrape is no idle worker.

- KEDA's AverageValue asks for value / threshold pods, rounded up. An HPA does nothing within 10 % of the pods there are,
  so from 10 pods on one more would be none: it is one more for each ten begun.
- Pods are counted by worker ID, so that one being replaced, of which two may be known, counts once.
- At most twice the pods that the IDs need, or twice minReplicas: connections that stay where they are cannot be helped
  by more pods.
- Bulk requests are left out: they wait because they are large.
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

{{/* The second trigger: IDs a second of all workers. */}}
{{- define "respid.query.ids" -}}
{{- with .Values.autoscaling.keda }}
{{- if .queries.ids }}
{{- .queries.ids }}
{{- else -}}
sum(rate(id_generator_ids_generated_total{ {{- include "respid.query.selector" $ -}} }[{{ int .windowSeconds }}s]))
{{- end }}
{{- end }}
{{- end }}
