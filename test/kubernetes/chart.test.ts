import { beforeEach, expect, test } from 'vitest'
import { type Manifest, podsOf, render } from '../deploy/support/chart.ts'
import { everything, minimal } from '../deploy/support/values.ts'
import { sharedKubernetes } from '../fixture/kubernetes.ts'
import { needPeer } from '../fixture/peers.ts'

const kubernetes = sharedKubernetes()
beforeEach((context) => needPeer('helm', context))

/** Definitions of the kinds that the Prometheus operator and cert-manager bring, without a schema. */
const definitions = [
  ['monitoring.coreos.com', 'ServiceMonitor'],
  ['monitoring.coreos.com', 'PrometheusRule'],
  ['cert-manager.io', 'Certificate'],
].map(([group = '', kind = '']) => {
  const singular = kind.toLowerCase()
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${singular}s.${group}` },
    spec: {
      ...{ group, scope: 'Namespaced', names: { kind, singular, plural: `${singular}s` } },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  }
})

/** The pods that the controller would make, as manifests. */
function startedPods(manifests: readonly Manifest[]): object[] {
  return [...podsOf(manifests)]
    .filter(([name]) => name === 'metadata' || name.startsWith('storage-node'))
    .map(([name, { metadata, spec }]) => ({
      ...{ apiVersion: 'v1', kind: 'Pod', spec },
      metadata: { ...metadata, name: name.replace(' ', '-') },
    }))
}

test.each([
  ['the least', minimal],
  ['everything', everything],
])(
  'the API server takes the chart with %s, and the pods that the controller makes of it',
  async (_, values) => {
    const server = await kubernetes({ skip: (note) => expect.unreachable(note) as never })
    for (const definition of definitions) await server.apply(definition)
    await server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'])
    const namespace = await server.namespace()
    const manifests = await render(values)
    const dryRun = async (objects: readonly object[]): Promise<string[]> => {
      const args = [
        'apply',
        '--dry-run=server',
        '--validate=strict',
        '--namespace',
        namespace,
        '-o',
        'name',
        '-f',
        '-',
      ]
      const list = { apiVersion: 'v1', kind: 'List', items: objects }
      return (await server.kubectl(args, JSON.stringify(list))).trim().split('\n')
    }
    // A priority class has to exist before pods may name it, as that of `helm test` does.
    for (const each of manifests) if (each.kind === 'PriorityClass') await server.apply(each)
    const taken = await dryRun(manifests.filter(({ kind }) => kind !== 'PriorityClass').map(inNamespace))
    expect(taken.length).toBeGreaterThan(8)
    expect(await dryRun(startedPods(manifests))).toHaveLength('nodeClasses' in values ? 3 : 2)
    await expect(dryRun([{ ...manifests[0], kind: 'Confusion' }])).rejects.toThrow('Confusion')

    function inNamespace(manifest: Manifest): object {
      const text = JSON.stringify(manifest).replaceAll('"namespace":"store"', `"namespace":"${namespace}"`)
      return JSON.parse(text) as object
    }
  },
)
