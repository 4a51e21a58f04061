{{- define "scree.name" -}}
{{ .Values.fullnameOverride | default .Release.Name | trunc 48 | trimSuffix "-" }}
{{- end }}

{{- define "scree.selector" -}}
app.kubernetes.io/name: scree-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "scree.labels" -}}
{{ include "scree.selector" . }}
app.kubernetes.io/component: {{ .part }}
app.kubernetes.io/part-of: scree
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "scree.image" -}}
{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}
