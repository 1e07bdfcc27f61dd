{{/*
The number of replicas to render; empty while only an autoscaler sets it. If an earlier revision rendered the field and this one
does not, Helm resets it to its default, 1. So once a revision has rendered it, all later ones do, with the live number.
*/}}
{{- define "respid.replicas" -}}
{{- if eq (include "respid.autoscaler" .) "none" }}
{{- include "respid.number" .Values.replicaCount }}
{{- else }}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "respid.fullname" .) }}
{{- if and $live (ne (dig "metadata" "annotations" "respid.io/replicas" "" $live) "autoscaler") }}
{{- include "respid.number" $live.spec.replicas }}
{{- end }}
{{- end }}
{{- end }}

{{/* The maximum age of connections in seconds; 0 means no limit. */}}
{{- define "respid.maxConnectionAge" -}}
{{- if kindIs "invalid" .Values.maxConnectionAgeSeconds }}{{ .Values.autoscaling.enabled | ternary (.Values.moveToNewWorkers | ternary 600 120) 0 }}
{{- else }}{{ include "respid.number" .Values.maxConnectionAgeSeconds }}
{{- end }}
{{- end }}

{{/* The settings that decide which IDs the workers may issue, except their number. */}}
{{- define "respid.identity" -}}
RESPID_WORKER_ID_OFFSET: {{ include "respid.number" .Values.workerIdOffset | quote }}
RESPID_LAYOUT: {{ .Values.layout | quote }}
RESPID_EPOCH: {{ include "respid.number" .Values.epoch | quote }}
RESPID_STORE: {{ .Values.store }}
{{- if eq .Values.store "lease" }}
RESPID_LEASE_ID_SPACE: {{ .Values.lease.idSpace | quote }}
{{- end }}
{{- end }}

{{/*
The same for volumes, which know nothing of each other. It is in a field that Kubernetes never changes, so that not
even a rollback can run workers of two offsets or layouts side by side.
*/}}
{{- define "respid.issues" -}}
offset {{ include "respid.number" .Values.workerIdOffset }}, layout {{ .Values.layout }}, epoch {{ include "respid.number" .Values.epoch }}
{{- end }}

{{/*
The variables that the chart sets. The addresses of the listeners are the image's. A variable that is added after version 0.1
is set only if its value is not the default: after a rollback, an older image refuses variables that it does not know.
*/}}
{{- define "respid.env" -}}
{{- /* Both names, so that no ConfigMap can set one of them for all pods. Empty before Kubernetes 1.28: the ordinal in POD_NAME is used. */}}
{{- range list "WORKER_ID" "RESPID_WORKER_ID" }}
- name: {{ . }}
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
{{- end }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: RESPID_WORKER_ID_OFFSET, value: {{ include "respid.number" .Values.workerIdOffset | quote }}}
- {name: RESPID_LAYOUT, value: {{ .Values.layout | quote }}}
- {name: RESPID_EPOCH, value: {{ include "respid.number" .Values.epoch | quote }}}
{{- if .Values.acceptLayoutChange }}
- {name: RESPID_ACCEPT_LAYOUT_CHANGE, value: "true"}
{{- end }}
{{- with .Values.startAbove }}
- {name: RESPID_START_ABOVE, value: {{ include "respid.number" . | quote }}}
{{- end }}
- {name: RESPID_MAX_CLOCK_LEAD, value: {{ include "respid.number" .Values.maxClockLeadSeconds | quote }}}
- {name: RESPID_STORE, value: {{ .Values.store }}}
{{- if eq .Values.store "lease" }}
- name: POD_UID # for Events
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- {name: RESPID_LEASE_ID_SPACE, value: {{ .Values.lease.idSpace | quote }}}
- {name: RESPID_RESERVE, value: {{ include "respid.number" .Values.lease.reserveSeconds | quote }}}
{{- else if eq .Values.store "file" }}
- {name: RESPID_STATE_DIR, value: /var/lib/respid}
- {name: RESPID_STATE_DIR_EXCLUSIVE, value: "true"}
{{- end }}
- {name: RESPID_PORT, value: {{ .Values.tls.only | ternary "0" "6379" | quote }}}
- {name: RESPID_HTTP_PORT, value: "8080"}
{{- if .Values.tls.enabled }}
- {name: RESPID_TLS_PORT, value: "6380"}
- {name: RESPID_TLS_CERT_FILE, value: /etc/respid/tls/tls.crt}
- {name: RESPID_TLS_KEY_FILE, value: /etc/respid/tls/tls.key}
- {name: RESPID_TLS_AUTH_CLIENTS, value: {{ include "respid.authClients" . | quote }}}
{{- if ne (include "respid.authClients" .) "no" }}
- {name: RESPID_TLS_CA_CERT_FILE, value: /etc/respid/tls/ca.crt}
{{- end }}
{{- with .Values.tls.clientNames }}
- {name: RESPID_TLS_CLIENT_NAMES, value: {{ join "," . | quote }}}
{{- end }}
{{- if .Values.tls.crl.existingConfigMap }}
- {name: RESPID_TLS_CRL_FILE, value: /etc/respid/crl/lists.pem}
{{- end }}
{{- end }}
{{- if .Values.auth.existingSecret }}
- {name: RESPID_PASSWORD_FILE, value: /etc/respid/auth/passwords}
{{- with .Values.auth.username }}
- {name: RESPID_USERNAME, value: {{ . | quote }}}
{{- end }}
{{- end }}
- {name: RESPID_MAX_CONNECTION_AGE, value: {{ include "respid.maxConnectionAge" . | quote }}}
{{- if .Values.moveToNewWorkers }}
- {name: RESPID_PEERS, value: "{{ include "respid.readyName" . }}:{{ .Values.tls.only | ternary 6380 6379 }}"}
{{- end }}
- {name: RESPID_DRAIN_DELAY, value: {{ include "respid.number" .Values.drainDelaySeconds | quote }}}
- {name: RESPID_LOG_FORMAT, value: {{ .Values.log.format }}}
- {name: RESPID_LOG_LEVEL, value: {{ .Values.log.level }}}
{{- include "respid.optionalEnv" . }}
{{- end }}

{{/* The variables that are set only if their value is not the program's default: value, variable, default. */}}
{{- define "respid.optionalEnv" -}}
{{- range list
  (list "sequenceReset" "RESPID_SEQUENCE_RESET" "")
  (list "clockJumpConfirmSeconds" "RESPID_CLOCK_JUMP_CONFIRM" 10)
  (list "maxClients" "RESPID_MAX_CLIENTS" 10000)
  (list "maxRequestBytes" "RESPID_MAX_REQUEST_BYTES" 1048576)
  (list "maxArguments" "RESPID_MAX_ARGUMENTS" 1024)
  (list "maxInlineBytes" "RESPID_MAX_INLINE_BYTES" 65536)
  (list "maxQueuedCommands" "RESPID_MAX_QUEUED_COMMANDS" 100000)
  (list "idleTimeoutSeconds" "RESPID_IDLE_TIMEOUT" 0)
  (list "authTimeoutSeconds" "RESPID_AUTH_TIMEOUT" 60)
  (list "maxClientMemoryBytes" "RESPID_MAX_CLIENT_MEMORY" "")
  (list "maxConnectionAgeClients" "RESPID_MAX_CONNECTION_AGE_CLIENTS" "reconnecting")
  (list "tcpKeepaliveSeconds" "RESPID_TCP_KEEPALIVE" 300)
}}
{{- $value := get $.Values (index . 0) | include "respid.number" }}
{{- if not (has $value (list "" (index . 2 | toString))) }}
- {name: {{ index . 1 }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.volumeMounts" -}}
{{- if eq .Values.store "file" }}
- {name: state, mountPath: /var/lib/respid}
{{- end }}
{{- if eq .Values.store "lease" }}
- {name: api-access, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}
{{- include "respid.secretMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "respid.volumes" -}}
{{- if eq .Values.store "lease" }}
- name: api-access
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: {{ include "respid.number" .Values.serviceAccount.tokenExpirationSeconds }}}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}]}
{{- end }}
{{- include "respid.secretVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "respid.secretMounts" -}}
{{- if .Values.auth.existingSecret }}
- {name: auth, mountPath: /etc/respid/auth, readOnly: true}
{{- end }}
{{- if .Values.tls.enabled }}
- {name: tls, mountPath: /etc/respid/tls, readOnly: true}
{{- if .Values.tls.crl.existingConfigMap }}
- {name: crl, mountPath: /etc/respid/crl, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "respid.secretVolumes" -}}
{{- with .Values.auth }}
{{- if .existingSecret }}
- {name: auth, secret: {secretName: {{ .existingSecret | quote }}, items: [{key: {{ .secretKey | quote }}, path: passwords}]}}
{{- end }}
{{- end }}
{{- if .Values.tls.enabled }}
- {name: tls, secret: {secretName: {{ include "respid.tlsSecret" . | quote }}}}
{{- with .Values.tls.crl }}
{{- if .existingConfigMap }}
- {name: crl, configMap: {name: {{ .existingConfigMap | quote }}, items: [{key: {{ .key | quote }}, path: lists.pem}]}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
