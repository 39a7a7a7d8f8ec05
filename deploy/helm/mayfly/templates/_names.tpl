{{- define "mayfly.name" -}}
{{- if contains "mayfly" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-mayfly" .Release.Name }}{{ end -}}
{{- end }}

{{/* The fleet makes names of it, with 24 characters more. */}}
{{- define "mayfly.check" -}}
{{- $name := include "mayfly.name" . }}
{{- if gt (len $name) 40 }}{{ fail (printf "the release name makes '%s', which has more than 40 characters" $name) }}{{ end }}
{{- if not .Values.database.secretName }}{{ fail "database.secretName is not set: name a Secret with the key url, like postgres://user:password@host:5432/database" }}{{ end }}
{{- if not .Values.s3.secretName }}{{ fail "s3.secretName is not set: name a Secret with the key s3.json, which has endpoint, region, bucket, accessKeyId and secretAccessKey" }}{{ end }}
{{- $tls := .Values.tls }}
{{- $chosen := 0 }}
{{- range list $tls.secretName $tls.certManager.issuerName $tls.insecure }}{{ if . }}{{ $chosen = add1 $chosen }}{{ end }}{{ end }}
{{- if ne (int $chosen) 1 }}{{ fail "set one of tls.secretName, tls.certManager.issuerName and tls.insecure" }}{{ end }}
{{- end }}

{{/* Takes (list root component). */}}
{{- define "mayfly.selector" -}}
app.kubernetes.io/name: mayfly
app.kubernetes.io/instance: {{ include "mayfly.name" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "mayfly.labels" -}}
{{ include "mayfly.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "mayfly.authSecret" -}}
{{ .Values.auth.secretName | default (printf "%s-auth" (include "mayfly.name" .)) }}
{{- end }}

{{- define "mayfly.tlsSecret" -}}
{{ if .Values.tls.certManager.issuerName }}{{ include "mayfly.name" . }}-tls{{ else }}{{ .Values.tls.secretName }}{{ end }}
{{- end }}

{{- define "mayfly.scheme" -}}
{{ if .Values.tls.insecure }}http{{ else }}https{{ end }}
{{- end }}

{{/* Of all controllers: those that do not lead refuse connections, and the next address is tried. */}}
{{- define "mayfly.controllerUrl" -}}
{{ include "mayfly.scheme" . }}://{{ include "mayfly.name" . }}-controllers.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:7400
{{- end }}

{{/* Of the controller that leads. While another one takes over it refuses connections, and the SDK tries again. */}}
{{- define "mayfly.driverUrl" -}}
{{ include "mayfly.scheme" . }}://{{ include "mayfly.name" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:7400
{{- end }}

{{/* The name that clients expect in certificates of metadata servers and storage nodes. */}}
{{- define "mayfly.tlsName" -}}
{{ include "mayfly.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "mayfly.anyAddress" -}}
{{ if eq .Values.ipFamily "IPv6" }}[::]{{ else }}0.0.0.0{{ end }}
{{- end }}
