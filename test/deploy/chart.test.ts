import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseConfig } from '../../cli/up/config/cluster-config.ts'
import { needPeer } from '../fixture/peers.ts'
import {
  chart,
  fileOf,
  KUBE_VERSION,
  type KubernetesFile,
  type Manifest,
  podsOf,
  render,
  runHelm,
  withValues,
} from './support/chart.ts'
import { everything, minimal } from './support/values.ts'

beforeEach((context) => needPeer('helm', context))

const root = join(import.meta.dirname, '../..')
const sets: Readonly<Record<string, Record<string, unknown>>> = {
  'the least': minimal,
  'own certificates': { ...minimal, tls: { secretName: 'certificate' } },
  everything,
  'no gateway, no budgets': {
    ...minimal,
    gateway: { enabled: false },
    controller: { replicas: 1, podDisruptionBudget: { enabled: false } },
  },
}

function named(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name)
  if (found === undefined) throw new Error(`There is no ${kind} ${name}`)
  return found
}

test.each(Object.entries(sets))(
  'helm lint takes the chart with %s',
  async (_, values) => {
    await runHelm(['lint', '--strict', ...KUBE_VERSION, chart, ...withValues(values)])
  },
  60_000,
)

test.each(Object.entries(sets))(
  'with %s each pod runs without privileges and has its three probes',
  async (_, values) => {
    const manifests = await render(values)
    for (const [name, { spec }] of podsOf(manifests)) {
      expect(spec.securityContext, name).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 })
      expect(spec.automountServiceAccountToken, name).toBe(name === 'controller' ? undefined : false)
      for (const container of spec.containers) {
        expect(container.securityContext, name).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        if (name === 'test') continue
        const scheme = values.tls === minimal.tls ? 'HTTP' : 'HTTPS'
        for (const probe of ['startupProbe', 'livenessProbe'])
          expect(container[probe], name).toMatchObject({
            httpGet: { path: '/healthz', port: 'probes', scheme },
          })
        const path = /controller|metadata/.test(name) ? '/readyz?standby=true' : '/readyz'
        expect(container.readinessProbe, name).toMatchObject({ httpGet: { path, scheme } })
      }
    }
  },
)

test.each(Object.entries(sets))(
  'with %s all that belongs together carries the standard labels',
  async (_, values) => {
    for (const { kind, metadata } of await render(values))
      expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        'app.kubernetes.io/name': 'mayfly',
        'app.kubernetes.io/instance': 'mayfly',
        'app.kubernetes.io/managed-by': 'Helm',
      })
  },
)

test('each variable of the pods is one that the processes read', async () => {
  const known = readFileSync(join(root, 'docs/reference/config.md'), 'utf8')
  const pods = [...podsOf(await render(everything)).values(), ...podsOf(await render(minimal)).values()]
  const names = pods.flatMap(({ spec }) => spec.containers.flatMap(({ env }) => env.map(({ name }) => name)))
  const unknown = [...new Set(names)].filter((name) => name !== 'POD_IP' && !known.includes(`\`${name}\``))
  expect(names.length).toBeGreaterThan(30)
  expect(unknown).toEqual([])
})

test('the controller gets a config that Mayfly takes, and a pod template for each class', async () => {
  const manifests = await render(everything)
  const { nodeClasses, warmNodes, limits } = parseConfig(fileOf(manifests, 'cluster.json'))
  expect(nodeClasses).toMatchObject([
    { name: 'small', cores: 0.5, ramBytes: 2 ** 28, ssdBytes: 0, bytesPerSecond: 1e8, nodesMax: 4 },
    { name: 'spot', ssdBytes: 2 ** 33 },
  ])
  expect({ warmNodes, limits }).toEqual({ warmNodes: 1, limits: { jobs: 100, bytes: 2 ** 40 } })
  const file = JSON.parse(fileOf(manifests, 'kubernetes.json')) as KubernetesFile
  expect(file).toMatchObject({ name: 'mayfly', deployment: 'mayfly-controller', startSeconds: 300 })
  const template = file.nodes.spot
  expect(template?.spec).toMatchObject({
    restartPolicy: 'Never',
    hostNetwork: true,
    nodeSelector: { pool: 'spot' },
    tolerations: [{ key: 'spot', operator: 'Exists' }],
    priorityClassName: 'store-mayfly-storage',
    hostAliases: everything.hostAliases,
  })
  expect(template?.metadata.labels).toMatchObject({
    team: 'data',
    'app.kubernetes.io/component': 'storage-node',
  })
  const volume = template?.spec.volumes.find(({ name }) => name === 'ssd')
  // Half as much again until removed records are compacted.
  const storage = String(1.5 * 2 ** 33)
  expect(volume).toMatchObject({
    ephemeral: {
      volumeClaimTemplate: { spec: { storageClassName: 'fast', resources: { requests: { storage } } } },
    },
  })
  expect(file.nodes.small?.spec.volumes.map(({ name }) => name)).not.toContain('ssd')
})

test('no config map and no environment has a secret', async () => {
  const manifests = await render(minimal)
  const { data } = named(manifests, 'Secret', 'mayfly-auth') as Manifest & { data: Record<string, string> }
  const decode = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString()
  const secrets = [decode('api-key'), decode('cluster-secret')]
  expect(secrets).toEqual([expect.stringMatching(/^\w{40}$/), expect.stringMatching(/^[0-9a-f]{64}$/)])
  const others = JSON.stringify(manifests.filter(({ kind }) => kind !== 'Secret'))
  for (const secret of secrets) expect(others).not.toContain(secret)
})

test('the certificate of cert-manager has all names by which the API, nodes and the gateway are called', async () => {
  const manifests = await render(everything)
  const { dnsNames } = named(manifests, 'Certificate', 'mayfly').spec as { dnsNames: string[] }
  for (const [name, { spec }] of podsOf(manifests)) {
    const env = spec.containers.flatMap((container) => container.env)
    for (const variable of ['MAYFLY_CONTROLLER_URL', 'MAYFLY_S3_ENDPOINT', 'MAYFLY_URL']) {
      const url = env.find((each) => each.name === variable)?.value
      for (const each of url?.split(',') ?? [])
        expect(dnsNames, `${variable} of ${name}`).toContain(new URL(each).hostname)
    }
    const tlsName = env.find((each) => each.name === 'MAYFLY_TLS_NAME')?.value
    if (tlsName !== undefined) expect(dnsNames).toContain(tlsName)
  }
  expect(dnsNames).toContain('mayfly.example')
})

test('the PrometheusRule has the alerts of docs/monitoring', async () => {
  const { spec, metadata } = named(await render(everything), 'PrometheusRule', 'mayfly')
  expect(spec).toEqual(parse(readFileSync(join(root, 'docs/monitoring/alerts.yml'), 'utf8')))
  expect(metadata.labels).toMatchObject({ release: 'prometheus' })
})

test('network policies let each process reach what it needs, and nothing else', async () => {
  const manifests = await render(everything)
  type Rule = { to?: object[]; ports: { port: number }[] }
  const egressOf = (component: string) => {
    const { spec } = named(manifests, 'NetworkPolicy', `mayfly-${component}`)
    return (spec as { egress: Rule[] }).egress.flatMap(({ ports }) => ports.map(({ port }) => port))
  }
  const own = [7400, 7401, 7402, 53, 53]
  expect(egressOf('controller')).toEqual([...own, 443, 6443, 5432, 443])
  expect(egressOf('metadata')).toEqual([...own, 5432])
  expect(egressOf('storage-node')).toEqual([...own, 443])
  expect(egressOf('gateway')).toEqual(own)
  const { egress } = named(manifests, 'NetworkPolicy', 'mayfly-metadata').spec as { egress: Rule[] }
  expect(egress.at(-1)?.to).toEqual([{ ipBlock: { cidr: '10.1.0.0/16' } }])
})

test.each<[string, string, string | RegExp]>([
  ['controller.replicas', '0', 'controller.replicas'],
  ['controller.replica', '2', 'replica'],
  ['nodeClasses', '[]', 'nodeClasses'],
  ['nodeClasses', '[{"name":"Big"}]', /nodeClasses.0/],
  ['nodeClasses[0].memory', '"3 GB"', /nodeClasses.0.memory/],
  ['metadata.servers', '9', 'metadata.servers'],
  ['image.pullPolicy', '"Sometimes"', 'image.pullPolicy'],
  ['storageNode.preStop', '{"sleep":{"seconds":1},"exec":{}}', 'storageNode.preStop'],
  ['ipFamily', '"ipv4"', 'ipFamily'],
  ['gateway.endpoint', '"s3.example"', 'gateway.endpoint'],
  ['database.secretName', '""', 'database.secretName is not set'],
  ['s3.secretName', '""', 's3.secretName is not set'],
  ['tls.insecure', 'false', 'set one of tls.secretName, tls.certManager.issuerName and tls.insecure'],
  ['tls.secretName', '"too"', 'set one of tls.secretName'],
])('%s=%s is refused, and the message names it', async (name, value, message) => {
  const args = [
    'template',
    'mayfly',
    chart,
    ...KUBE_VERSION,
    ...withValues(minimal),
    '--set-json',
    `${name}=${value}`,
  ]
  // Helm writes paths like those of JSON pointers.
  const failure = await runHelm(args).then(
    () => 'it was accepted',
    (error: Error) => error.message.replaceAll(/\/(?=\w)/g, '.'),
  )
  expect(failure).toMatch(message)
})

test('a release name that is too long is refused', async () => {
  const name = 'a-very-long-name-that-kubernetes-takes'
  await expect(runHelm(['template', name, chart, ...KUBE_VERSION, ...withValues(minimal)])).rejects.toThrow(
    'more than 40',
  )
})
