{{/*
The addresses (CIDRs) and ports of the API server: those in the values, or else those that the cluster has now. Both its Service
and its endpoints, because network plugins differ in which of the two they compare.
*/}}
{{- define "respid.apiServer" -}}
{{- $addresses := .Values.networkPolicy.apiServerAddresses }}
{{- $ports := .Values.networkPolicy.apiServerPorts }}
{{- if not $addresses }}
{{- $service := lookup "v1" "Service" "default" "kubernetes" | default dict }}
{{- $slice := lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes" | default dict }}
{{- $addresses = dig "spec" "clusterIPs" list $service }}
{{- range $slice.endpoints }}{{ $addresses = concat $addresses .addresses }}{{ end }}
{{- range concat (dig "spec" "ports" list $service) ($slice.ports | default list) }}{{ $ports = append $ports (int .port) }}{{ end }}
{{- end }}
{{- if not $addresses }}
{{- fail "networkPolicy.enabled with the store lease needs the addresses of the API server, and without a cluster (helm template, Argo CD) Helm cannot look them up: set networkPolicy.apiServerAddresses to what kubectl get service,endpoints kubernetes -n default shows" }}
{{- end }}
{{- $blocks := list }}
{{- range $addresses | uniq }}
{{- $blocks = append $blocks (contains "/" . | ternary . (printf "%s/%s" . (contains ":" . | ternary "128" "32"))) }}
{{- end }}
{{- dict "addresses" $blocks "ports" ($ports | uniq) | toYaml }}
{{- end }}
