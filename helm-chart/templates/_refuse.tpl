{{/* Fails, with advice, for values that cannot work together. What one value may be is the schema's. */}}
{{- define "respid.refuse" -}}
{{- $values := .Values }}
{{- $workers := include "respid.workerIds" . | int }}
{{- $offset := int .Values.workerIdOffset }}
{{- with .Values.autoscaling }}
{{- $most := .enabled | ternary .maxReplicas $values.replicaCount | int }}
{{- if gt (add $most $offset) $workers }}
{{- fail (printf "%s %d + workerIdOffset %d is more than the %d worker IDs of layout %s: lower one of the two, or choose a layout with more worker bits" (.enabled | ternary "autoscaling.maxReplicas" "replicaCount") $most $offset $workers $values.layout) }}
{{- end }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas %d is above autoscaling.maxReplicas %d: lower the one or raise the other" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- end }}
