{{/*
Parts of the pods. `mayfly.pod` takes (dict "root" . "component" NAME "values" VALUES "class" PRIORITY) and is what all pods have besides containers and volumes.
*/}}
{{- define "mayfly.pod" -}}
{{- $root := .root }}
{{- $priority := .values.priorityClassName }}
{{- if and (not $priority) $root.Values.priorityClasses.create }}{{ $priority = printf "%s-%s-%s" $root.Release.Namespace (include "mayfly.name" $root) .class }}{{ end }}
{{- with $priority }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $root.Values.hostAliases }}
hostAliases: {{ toJson . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with $root.Values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- $selector := fromYaml (include "mayfly.selector" (list $root $.component)) }}
{{- range . }}
  - {{ toJson (merge (dict "labelSelector" (dict "matchLabels" $selector)) .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mayfly.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* What all server processes need. Takes (dict "root" . "port" PORT). */}}
{{- define "mayfly.env" -}}
{{- $root := .root }}
{{- $any := include "mayfly.anyAddress" $root }}
- { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
- { name: MAYFLY_LISTEN, value: "{{ $any }}:{{ .port }}" }
- { name: MAYFLY_METRICS_LISTEN, value: "{{ $any }}:{{ .probes | default 7403 }}" }
- { name: MAYFLY_ADVERTISE, value: $(POD_IP) }
- { name: MAYFLY_SECRET_FILE, value: /etc/mayfly/auth/cluster-secret }
- { name: MAYFLY_CONTROLLER_URL, value: {{ include "mayfly.controllerUrl" $root | quote }} }
- { name: MAYFLY_LOG_LEVEL, value: {{ $root.Values.logLevel }} }
{{- if $root.Values.tls.insecure }}
- { name: MAYFLY_INSECURE, value: "true" }
{{- else }}
- { name: MAYFLY_TLS_CERT_FILE, value: /etc/mayfly/tls/tls.crt }
- { name: MAYFLY_TLS_KEY_FILE, value: /etc/mayfly/tls/tls.key }
- { name: MAYFLY_TLS_NAME, value: {{ include "mayfly.tlsName" $root | quote }} }
- { name: MAYFLY_CA_FILE, value: /etc/mayfly/tls/ca.crt }
{{- end }}
{{- end }}

{{- define "mayfly.env.database" -}}
- { name: MAYFLY_DATABASE_FILE, value: /etc/mayfly/database/url }
{{- end }}

{{- define "mayfly.env.persisted" -}}
- { name: MAYFLY_S3_FILE, value: /etc/mayfly/s3/s3.json }
- { name: MAYFLY_KEPT_DIR, value: /tmp/kept }
{{- end }}

{{- define "mayfly.probe" -}}
httpGet: { path: "{{ index . 1 }}", port: probes, scheme: {{ include "mayfly.scheme" (index . 0) | upper }} }
{{- end }}

{{/*
Liveness asks the event loop alone: a process that cannot reach others is not made better by a restart. Takes (dict "root" . "values" VALUES "ready" PATH).
*/}}
{{- define "mayfly.probes" -}}
startupProbe:
  {{- include "mayfly.probe" (list .root "/healthz") | nindent 2 }}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  {{- include "mayfly.probe" (list .root "/healthz") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  {{- include "mayfly.probe" (list .root .ready) | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- with .values.preStop }}
lifecycle: { preStop: {{ toJson . }} }
{{- end }}
{{- end }}

{{- define "mayfly.mounts" -}}
- { name: auth, mountPath: /etc/mayfly/auth, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- if not .Values.tls.insecure }}
- { name: tls, mountPath: /etc/mayfly/tls, readOnly: true }
{{- end }}
{{- end }}

{{/* Each process sees the keys that it needs. Takes (list root KEYS-OF-AUTH…). */}}
{{- define "mayfly.volumes" -}}
{{- $root := index . 0 -}}
- name: auth
  secret:
    secretName: {{ include "mayfly.authSecret" $root }}
    defaultMode: 0440
    items:
    {{- range rest . }}
      - { key: {{ . }}, path: {{ . }} }
    {{- end }}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- if not $root.Values.tls.insecure }}
- name: tls
  secret: { secretName: {{ include "mayfly.tlsSecret" $root }}, defaultMode: 0440 }
{{- end }}
{{- end }}
