{{/* The dashboard. If Prometheus has a label for the cluster, a variable for it comes before that for the namespace. */}}
{{- define "respid.dashboard" -}}
{{- $dashboard := .Files.Get "dashboards/respid.json" }}
{{- with .Values.prometheusLabels.cluster }}
{{- $namespace := `namespace=~\"$namespace\"` }}
{{- $matcher := printf `%s=~\"$cluster\"` . }}
{{- $dashboard = $dashboard | replace $namespace (printf "%s,%s" $matcher $namespace) }}
{{- $dashboard = $dashboard | replace "(id_generator_info, namespace)" (printf "(id_generator_info{%s}, namespace)" $matcher) }}
{{- $first := `{
        "name": "namespace",` }}
{{- $dashboard = $dashboard | replace $first (printf "%s,\n      %s" (include "respid.clusterVariable" .) $first) }}
{{- end }}
{{- $dashboard }}
{{- end }}

{{- define "respid.clusterVariable" -}}
{
        "name": "cluster",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "query": {"query": "label_values(id_generator_info, {{ . }})", "refId": "cluster"},
        "definition": "label_values(id_generator_info, {{ . }})",
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "current": {"text": ["All"], "value": ["$__all"]}
      }
{{- end }}
