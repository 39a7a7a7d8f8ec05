{{/* Pod templates that the controller starts storage nodes and metadata servers from. */}}
{{- define "mayfly.metadata.template" -}}
metadata:
  labels:
    {{- include "mayfly.selector" (list . "metadata") | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with .Values.metadata.annotations }}
  annotations: {{ toJson . }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  {{- include "mayfly.hostNetwork" . | nindent 2 }}
  {{- include "mayfly.pod" (dict "root" . "component" "metadata" "values" .Values.metadata "class" "control") | nindent 2 }}
  terminationGracePeriodSeconds: 30
  containers:
    - name: metadata
      {{- include "mayfly.image" . | nindent 6 }}
      args: [metadata]
      ports:
        - { name: wire, containerPort: 7402 }
        # Another one than that of storage nodes, which may be on the same machine.
        - { name: probes, containerPort: 7404 }
      env:
        {{- include "mayfly.env" (dict "root" . "port" 7402 "probes" 7404) | nindent 8 }}
        {{- include "mayfly.env.database" . | nindent 8 }}
      {{- include "mayfly.probes" (dict "root" . "values" .Values.metadata "ready" "/readyz?standby=true") | nindent 6 }}
      resources: {{ toJson .Values.metadata.resources }}
      volumeMounts:
        {{- include "mayfly.mounts" . | nindent 8 }}
        - { name: database, mountPath: /etc/mayfly/database, readOnly: true }
  volumes:
    {{- include "mayfly.volumes" (list . "cluster-secret") | nindent 4 }}
    - name: database
      secret: { secretName: {{ .Values.database.secretName }}, defaultMode: 0440 }
{{- end }}

{{- define "mayfly.hostNetwork" -}}
{{- if .Values.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- end }}

{{/* Takes (list root CLASS). */}}
{{- define "mayfly.node.template" -}}
{{- $root := index . 0 }}
{{- $class := index . 1 }}
{{- $node := $root.Values.storageNode }}
{{- $values := merge (dict "nodeSelector" (default dict $class.nodeSelector) "tolerations" (default list $class.tolerations)) $node }}
{{- $ssd := int64 (default 0 $class.ssdBytes) }}
metadata:
  labels:
    {{- include "mayfly.selector" (list $root "storage-node") | nindent 4 }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with $node.annotations }}
  annotations: {{ toJson . }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  {{- include "mayfly.hostNetwork" $root | nindent 2 }}
  {{- include "mayfly.pod" (dict "root" $root "component" "storage-node" "values" $values "class" "storage") | nindent 2 }}
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ int $node.terminationGracePeriodSeconds }}
  containers:
    - name: storage-node
      {{- include "mayfly.image" $root | nindent 6 }}
      args: [node]
      ports:
        - { name: wire, containerPort: 7401 }
        - { name: probes, containerPort: 7403 }
      env:
        {{- include "mayfly.env" (dict "root" $root "port" 7401) | nindent 8 }}
        {{- include "mayfly.env.persisted" $root | nindent 8 }}
        {{- if $ssd }}
        - { name: MAYFLY_NODE_SSD_DIR, value: /var/lib/mayfly/ssd }
        {{- end }}
      {{- include "mayfly.probes" (dict "root" $root "values" $node "ready" "/readyz") | nindent 6 }}
      resources:
        requests: { cpu: {{ $class.cores | quote }}, memory: {{ $class.memory }} }
        limits: { memory: {{ $class.memory }} }
      volumeMounts:
        {{- include "mayfly.mounts" $root | nindent 8 }}
        - { name: s3, mountPath: /etc/mayfly/s3, readOnly: true }
        {{- if $ssd }}
        - { name: ssd, mountPath: /var/lib/mayfly }
        {{- end }}
  volumes:
    {{- include "mayfly.volumes" (list $root "cluster-secret") | nindent 4 }}
    - name: s3
      secret: { secretName: {{ $root.Values.s3.secretName }}, defaultMode: 0440 }
    {{- if $ssd }}
    {{- /* Files take up to half as much again until removed records are compacted. */}}
    {{- $bytes := add $ssd (div $ssd 2) | toString }}
    - name: ssd
      {{- if $class.ssdStorageClass }}
      ephemeral:
        volumeClaimTemplate:
          spec:
            accessModes: [ReadWriteOnce]
            storageClassName: {{ $class.ssdStorageClass }}
            resources: { requests: { storage: {{ $bytes | quote }} } }
      {{- else }}
      emptyDir: { sizeLimit: {{ $bytes | quote }} }
      {{- end }}
    {{- end }}
{{- end }}

{{- define "mayfly.cluster" -}}
{{- $classes := list }}
{{- range .Values.nodeClasses }}
{{- $classes = append $classes (dict "name" .name "cores" .cores "ramBytes" (int64 .ramBytes) "ssdBytes" (int64 (default 0 .ssdBytes)) "bytesPerSecond" (int64 .bytesPerSecond) "pricePerHour" .pricePerHour "nodesMax" (int64 .nodesMax)) }}
{{- end }}
{{- toPrettyJson (dict "metadataServers" (int .Values.metadata.servers) "warmNodes" (int .Values.warmNodes) "nodeClasses" $classes "limits" .Values.limits) }}
{{- end }}

{{- define "mayfly.kubernetes" -}}
{{- $nodes := dict }}
{{- range .Values.nodeClasses }}
{{- $_ := set $nodes .name (fromYaml (include "mayfly.node.template" (list $ .))) }}
{{- end }}
{{- $metadata := dict "replicas" (int .Values.metadata.replicas) "template" (fromYaml (include "mayfly.metadata.template" .)) }}
{{- toPrettyJson (dict "name" (include "mayfly.name" .) "deployment" (printf "%s-controller" (include "mayfly.name" .)) "startSeconds" (int .Values.storageNode.startSeconds) "nodes" $nodes "metadata" $metadata) }}
{{- end }}
