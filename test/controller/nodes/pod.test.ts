import type { V1Pod, V1PodStatus } from '@kubernetes/client-node'
import { expect, test } from 'vitest'
import { isOutdated, minAvailable, nodePod, stateOf } from '../../../controller/nodes/fleet/kubernetes/pod.ts'

const nodeClass = {
  ...{ name: 'small', cores: 1, ramBytes: 1_000, ssdBytes: 0, bytesPerSecond: 10 },
  ...{ pricePerHour: 0, nodesMax: 1 },
}
const template = {
  metadata: { labels: { team: 'a' } },
  spec: {
    terminationGracePeriodSeconds: 100,
    containers: [
      {
        name: 'mayfly',
        env: [
          { name: 'MAYFLY_LISTEN', value: '0.0.0.0:1' },
          { name: 'MAYFLY_NODE_ID', value: 'own' },
        ],
      },
      { name: 'sidecar' },
    ],
  },
}
const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'controller', uid: 'u' }
const made = (): V1Pod => nodePod(template, { instance: 'mayfly', node: 'n-a', nodeClass, owner })

function podWith(status: V1PodStatus, metadata: V1Pod['metadata'] = {}): V1Pod {
  return { metadata, spec: { containers: [{ name: 'mayfly' }, { name: 'sidecar' }] }, status }
}

function container(state: object) {
  return [{ name: 'mayfly', image: '', imageID: '', ready: false, restartCount: 0, state }]
}

test('the pod of a node is its template with a name, labels, an owner, one life and its variables', () => {
  const { metadata, spec } = made()
  expect(metadata).toMatchObject({
    name: 'mayfly-n-a',
    labels: {
      team: 'a',
      'app.kubernetes.io/instance': 'mayfly',
      'mayfly/node': 'n-a',
      'mayfly/class': 'small',
    },
    ownerReferences: [owner],
  })
  expect(spec?.restartPolicy).toBe('Never')
  const env = Object.fromEntries((spec?.containers[0]?.env ?? []).map(({ name, value }) => [name, value]))
  expect(env).toMatchObject({
    MAYFLY_LISTEN: '0.0.0.0:1',
    MAYFLY_NODE_ID: 'n-a',
    MAYFLY_NODE_RAM_BYTES: '1000',
    MAYFLY_DRAIN_SECONDS: '90',
  })
  expect(spec?.containers[0]?.env).toHaveLength(7)
  expect(spec?.containers[1]).toEqual({ name: 'sidecar' })
})

test('a pod is outdated once its template or the size of its class is another', () => {
  expect(isOutdated(made(), template, nodeClass)).toBe(false)
  expect(isOutdated(made(), { ...template, metadata: {} }, nodeClass)).toBe(true)
  expect(isOutdated(made(), template, { ...nodeClass, ramBytes: 2_000 })).toBe(true)
})

const killed = { terminated: { exitCode: 137, reason: 'OOMKilled' } }
const unseen = { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } }
const creating = { waiting: { reason: 'ContainerCreating' } }
const pulling = { waiting: { reason: 'ErrImagePull', message: 'no such image' } }
const unscheduled = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }]

test.each<[string, V1PodStatus, ReturnType<typeof stateOf>]>([
  ['was created', {}, { is: 'waiting', isFailing: false, reason: null }],
  [
    'cannot be scheduled',
    { phase: 'Pending', conditions: unscheduled },
    { is: 'waiting', isFailing: false, reason: 'Unschedulable: 0/3 nodes' },
  ],
  [
    'is being made',
    { containerStatuses: container(creating) },
    { is: 'waiting', isFailing: false, reason: null },
  ],
  [
    'has no image',
    { containerStatuses: container(pulling) },
    { is: 'waiting', isFailing: true, reason: 'ErrImagePull: no such image' },
  ],
  ['runs', { phase: 'Running', containerStatuses: container({ running: {} }) }, { is: 'running' }],
  [
    'is on a machine that is lost',
    { phase: 'Unknown', reason: 'NodeLost', containerStatuses: container({ running: {} }) },
    { is: 'running' },
  ],
  [
    'was killed for its memory',
    { phase: 'Failed', containerStatuses: container(killed) },
    { is: 'ended', reason: 'exit code 137; OOMKilled' },
  ],
  [
    'was evicted',
    { phase: 'Failed', reason: 'Evicted', message: 'low on memory', containerStatuses: container(killed) },
    { is: 'ended', reason: 'Evicted: low on memory; exit code 137; OOMKilled' },
  ],
  [
    'was given up by Kubernetes while its machine was lost',
    { phase: 'Failed', containerStatuses: container({ running: {} }) },
    { is: 'over', reason: 'its pod is Failed' },
  ],
  [
    'has a container that the kubelet did not find',
    { phase: 'Failed', containerStatuses: container(unseen) },
    { is: 'over', reason: 'its pod is Failed' },
  ],
  [
    'was refused by its machine',
    { phase: 'Failed', reason: 'OutOfcpu', message: 'too little' },
    { is: 'over', reason: 'OutOfcpu: too little; its pod is Failed' },
  ],
])('a pod that %s', (_, status, state) => {
  expect(stateOf(podWith(status))).toEqual(state)
})

test('one ready pod may be disrupted, and none while another one is', () => {
  const ready = {
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: container({ running: {} }),
  }
  const leaving = { deletionTimestamp: new Date() }
  expect(minAvailable([])).toBe(0)
  expect(minAvailable([podWith(ready), podWith(ready), podWith({})])).toBe(1)
  expect(minAvailable([podWith(ready), podWith(ready), podWith(ready, leaving)])).toBe(2)
  expect(minAvailable([podWith(ready), podWith({ containerStatuses: container(killed) }, leaving)])).toBe(0)
})
