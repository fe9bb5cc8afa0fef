{{- define "rememberd.name" -}}
{{- printf "%s-rememberd" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "rememberd.labels" -}}
app.kubernetes.io/name: rememberd
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "rememberd.pod" -}}
{{- $root := .root -}}
{{- $part := .part -}}
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        app.kubernetes.io/instance: {{ $root.Release.Name }}
        app.kubernetes.io/component: {{ $part }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: config
    configMap: {name: {{ include "rememberd.name" $root }}}
  - name: data
    {{- toYaml $root.Values.dataVolume | nindent 4 }}
  - name: tmp
    emptyDir: {}
{{- end -}}

{{- define "rememberd.container" -}}
{{- $root := .root -}}
{{- $part := .part -}}
image: "{{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [{{ $part }}]
securityContext: {{- toYaml $root.Values.securityContext | nindent 2 }}
{{- with $root.Values.envFromSecrets }}
envFrom:
{{- range . }}
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}
resources: {{- toYaml (index $root.Values $part).resources | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/rememberd, readOnly: true}
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
{{- end -}}
