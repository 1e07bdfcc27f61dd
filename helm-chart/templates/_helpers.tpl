{{- define "respid.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimAll "-" }}
{{- end }}

{{/* At most 52 characters: Kubernetes labels the pods of a StatefulSet with its name plus 11 characters, and a label has at most 63. */}}
{{- define "respid.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimAll "-" }}
{{- else }}
{{- $name := include "respid.name" . }}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 52 | trimAll "-" }}
{{- end }}
{{- end }}

{{/* The Service that gives the pods their DNS names. Only this one has the metrics port, so that no pod is scraped twice. */}}
{{- define "respid.headlessName" -}}
{{ include "respid.fullname" . }}-headless
{{- end }}

{{/* The Service with the addresses of the workers that are ready. */}}
{{- define "respid.readyName" -}}
{{ include "respid.fullname" . }}-ready
{{- end }}

{{/* The image. A registry that is given replaces the one in the repository: the part before the first slash, if it has a dot or a port. */}}
{{- define "respid.image" -}}
{{- $image := .Values.image }}
{{- $repository := $image.repository }}
{{- with .Values.global.imageRegistry | default $image.registry }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}
{{- end }}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}
{{- else }}{{ $repository }}:{{ include "respid.number" $image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The pull secrets: imagePullSecrets and global.imagePullSecrets, each {name} or a name. */}}
{{- define "respid.imagePullSecrets" -}}
{{- range concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) | uniq }}
{{- if kindIs "string" . }}
- name: {{ . | quote }}
{{- else }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "respid.fullname" .) "default") }}
{{- end }}

{{/*
A number as text; empty for null, which Helm 3 would print as "<no value>". Helm reads 1704067200000 as a float and would print
1.7040672e+12.
*/}}
{{- define "respid.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end }}
{{- end }}

{{/* The number of values that fit into this many bits. */}}
{{- define "respid.powerOfTwo" -}}
{{- $power := 1 }}
{{- range until (int .) }}{{ $power = mul 2 $power }}{{ end }}
{{- $power }}
{{- end }}

{{/* How many workers there can be. */}}
{{- define "respid.mostWorkers" -}}
{{- .Values.autoscaling.enabled | ternary .Values.autoscaling.maxReplicas .Values.replicaCount | int }}
{{- end }}

{{- define "respid.leastWorkers" -}}
{{- .Values.autoscaling.enabled | ternary .Values.autoscaling.minReplicas .Values.replicaCount | int }}
{{- end }}

{{/* Whether the budget permits no eviction of the least number of workers, even if all are ready. Kubernetes rounds percentages up. */}}
{{- define "respid.blocksDrains" -}}
{{- $least := include "respid.leastWorkers" . | int }}
{{- with .Values.podDisruptionBudget }}
{{- $number := kindIs "invalid" .minAvailable | ternary .maxUnavailable .minAvailable | include "respid.number" }}
{{- $pods := regexFind "^[0-9]+" $number | float64 }}
{{- if hasSuffix "%" $number }}{{ $pods = divf (mulf $pods $least) 100 | ceil }}{{ end }}
{{- if and .enabled $least $number }}
{{- if kindIs "invalid" .minAvailable }}{{ eq $pods 0.0 | ternary "yes" "" }}
{{- else }}{{ ge $pods (float64 $least) | ternary "yes" "" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The bits of timestamp, worker ID and sequence, as a list. */}}
{{- define "respid.layoutBits" -}}
{{- include "respid.refuseFormats" . }}
{{- splitList "/" .Values.layout | toYaml }}
{{- end }}

{{/* The number of worker IDs in the layout. */}}
{{- define "respid.workerIds" -}}
{{- include "respid.powerOfTwo" (index (include "respid.layoutBits" . | fromYamlArray) 1) }}
{{- end }}

{{/* The number of IDs a worker can issue per second: the size of its sequence times 1,000. */}}
{{- define "respid.idsPerSecond" -}}
{{- mul 1000 (include "respid.powerOfTwo" (index (include "respid.layoutBits" . | fromYamlArray) 2)) }}
{{- end }}

{{/* The IP families of both Services. */}}
{{- define "respid.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
  ipFamilies:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* Whether CPU can be measured per container, so that sidecars do not count. */}}
{{- define "respid.hasContainerResources" -}}
{{- if semverCompare ">=1.27.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- end }}

{{/* The variable with a password, if extraEnv has one. */}}
{{- define "respid.passwordVariable" -}}
{{- range .Values.extraEnv }}{{ if eq .name "RESPID_PASSWORD" }}{{ list . | toYaml }}{{ end }}{{ end }}
{{- end }}

{{/* Whether clients must show a password; empty if not. */}}
{{- define "respid.hasPassword" -}}
{{- if or .Values.auth.existingSecret (include "respid.passwordVariable" .) }}true{{ end }}
{{- end }}

{{/* Whether clients must show a password or a certificate on every port; empty if not. */}}
{{- define "respid.isAuthenticated" -}}
{{- if or (include "respid.hasPassword" .) (and .Values.tls.only (eq (include "respid.authClients" .) "yes")) }}true{{ end }}
{{- end }}

{{/* Whether clients show a certificate: no, optional or yes. YAML reads yes and no without quotes as booleans. */}}
{{- define "respid.authClients" -}}
{{- $given := .Values.tls.authClients }}
{{- if kindIs "bool" $given }}{{ $given | ternary "yes" "no" }}{{ else }}{{ $given }}{{ end }}
{{- end }}

{{/* The Secret with the certificate: the one that is given, or that cert-manager fills. */}}
{{- define "respid.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "respid.fullname" .)) }}
{{- end }}

{{/* The security context of the pods. OpenShift assigns the IDs itself, and refuses others. */}}
{{- define "respid.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext | default dict }}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" "fsGroupChangePolicy" }}
{{- end }}
{{- with $context }}{{ toYaml . }}{{ end }}
{{- end }}
