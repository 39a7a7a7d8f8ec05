/** Values with which the chart renders: everything that is required, and no more. */
export const minimal = {
  database: { secretName: 'database' },
  s3: { secretName: 's3' },
  tls: { insecure: true },
} as const

const small = {
  ...{ name: 'small', cores: 0.5, ramBytes: 2 ** 28, memory: '768Mi' },
  ...{ bytesPerSecond: 1e8, pricePerHour: 0.05, nodesMax: 4 },
}
const spot = {
  ...{ ...small, name: 'spot', ssdBytes: 2 ** 33, ssdStorageClass: 'fast' },
  ...{ nodeSelector: { pool: 'spot' }, tolerations: [{ key: 'spot', operator: 'Exists' }] },
}

/** Every part of the chart. */
export const everything = {
  database: { secretName: 'database' },
  s3: { secretName: 's3' },
  tls: { certManager: { issuerName: 'ca', issuerKind: 'ClusterIssuer' }, dnsNames: ['mayfly.example'] },
  nodeClasses: [small, spot],
  limits: { jobs: 100, bytes: 2 ** 40 },
  hostNetwork: true,
  storageNode: { preStop: { sleep: { seconds: 3 } } },
  priorityClasses: { create: true },
  networkPolicy: { enabled: true, database: { to: [{ ipBlock: { cidr: '10.1.0.0/16' } }] } },
  serviceMonitor: { enabled: true },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
  podLabels: { team: 'data' },
  hostAliases: [{ ip: '10.0.0.9', hostnames: ['database'] }],
  ipFamily: 'IPv6',
}
