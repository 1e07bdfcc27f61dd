{{/*
The Grafana dashboard with the labels in prometheusLabels: its selectors, its variables and its legends. An empty label has no
variable, and legends show the instance if there is no pod. Renders no object.
*/}}
{{- define "respid.dashboard" -}}
{{- $labels := .Values.prometheusLabels }}
{{- $escaped := list }}
{{- $matchers := list }}
{{- $queries := dict }}
{{- range $name := list "cluster" "namespace" "service" }}
{{- with index $labels $name }}
{{- $selector := empty $matchers | ternary "" (join "," $matchers | printf "{%s}") }}
{{- $_ := printf "label_values(id_generator_info%s, %s)" $selector . | set $queries $name }}
{{- $matchers = append $matchers (printf `%s=~"$%s"` . $name) }}
{{- $escaped = append $escaped (printf `%s=~\"$%s\"` . $name) }}
{{- end }}
{{- end }}
{{- $text := .Files.Get "dashboards/respid.json" | replace `namespace=~\"$namespace\",service=~\"$service\"` (join "," $escaped) }}
{{- $dashboard := replace "{{pod}}" ($labels.pod | default "instance" | printf "{{%s}}") $text | fromJson }}
{{- $datasource := index $dashboard.templating.list 0 }}
{{- $example := index $dashboard.templating.list 1 }}
{{- $variables := list $datasource }}
{{- range $name := list "cluster" "namespace" "service" }}
{{- with index $queries $name }}
{{- $query := dict "query" . "refId" $name }}
{{- $variables = append $variables (merge (dict "name" $name "definition" . "query" $query) (deepCopy $example)) }}
{{- end }}
{{- end }}
{{- $_ := set $dashboard.templating "list" $variables }}
{{- toPrettyJson $dashboard }}
{{- end }}
