import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Kubernetes } from '../../bench/servers/kubernetes/kubernetes.ts'
import { controllerRules, type PolicyRule } from '../../bench/servers/kubernetes/kubernetes-cluster.ts'
import { ApiServer, ApiServerError } from '../../controller/nodes/fleet/kubernetes/api-server.ts'
import { disruptionBudget, metadataDeployment } from '../../controller/nodes/fleet/kubernetes/companions.ts'
import { nodePod } from '../../controller/nodes/fleet/kubernetes/pod.ts'
import { sharedKubernetes } from '../fixture/kubernetes.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { clusters } from './support/load.ts'

const control = sharedKubernetes()
const start = clusters(control)

const ACCOUNT = 'controller'

/** A namespace with a service account, whose rights are those of a Role. */
async function account(kubernetes: Kubernetes) {
  const namespace = await kubernetes.namespace()
  const metadata = { name: ACCOUNT, namespace }
  const setRules = (rules: readonly PolicyRule[]): Promise<void> =>
    kubernetes.apply({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata, rules })
  await kubernetes.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata })
  await setRules(controllerRules)
  await kubernetes.apply({
    ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: ACCOUNT },
    subjects: [{ kind: 'ServiceAccount', ...metadata }],
  })
  await kubernetes.kubectl(['-n', namespace, 'create', 'deployment', ACCOUNT, '--image=none', '--replicas=0'])
  const token = (await kubernetes.kubectl(['-n', namespace, 'create', 'token', ACCOUNT])).trim()
  const kubeconfig = join(await tempDir(), 'kubeconfig')
  const cluster = { server: kubernetes.server, 'certificate-authority': kubernetes.caFile }
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
  }
  await writeFile(kubeconfig, JSON.stringify(config))
  process.env.KUBECONFIG = kubeconfig
  return { setRules, api: await ApiServer.open('mayfly') }
}

const nodeClass = {
  name: 'small',
  cores: 1,
  ramBytes: 1,
  ssdBytes: 0,
  bytesPerSecond: 1,
  pricePerHour: 0,
  nodesMax: 1,
}
let calls = 0

/** Every call of the fleet once. Resolves with the messages of those that were not allowed. */
async function forbidden(api: ApiServer): Promise<string[]> {
  const found: string[] = []
  const attempt = async <T>(call: Promise<T>): Promise<T | null> =>
    await call.catch((error: unknown) => {
      if (!(error instanceof ApiServerError) || error.status !== 403) throw error
      found.push(error.message)
      return null
    })
  const id = `n-${++calls}`
  const owner = (await attempt(api.owner(ACCOUNT))) ?? {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: ACCOUNT,
    uid: id,
  }
  const template = { spec: { containers: [{ name: 'mayfly', image: 'none', command: ['sleep', '60'] }] } }
  const list = await attempt(api.listPods())
  const events = { changed: () => undefined, deleted: () => undefined, at: () => undefined }
  const signal = AbortSignal.timeout(500)
  await attempt(api.watchPods(list?.resourceVersion ?? '0', { events, signal }))
  await attempt(api.createPod(nodePod(template, { instance: 'mayfly', node: id, nodeClass, owner })))
  await attempt(api.lastWarning(`mayfly-${id}`))
  await attempt(api.listLeaders())
  // Without the right to create it there is no pod.
  await attempt(api.labelLeader(`mayfly-${id}`, true)).catch(() => undefined)
  await attempt(api.deletePod(`mayfly-${id}`)).catch(() => undefined)
  await attempt(api.listMetadata())
  const settings = {
    name: 'mayfly',
    deployment: ACCOUNT,
    startSeconds: 30,
    nodes: {},
    metadata: { replicas: 0, template },
  }
  await attempt(api.applyDeployment(metadataDeployment(settings, `m-${calls}`, owner)))
  await attempt(api.applyDeployment(metadataDeployment(settings, `m-${calls}`, owner))).catch(() => undefined)
  for (const least of [1, 2])
    await attempt(api.applyBudget(disruptionBudget(`mayfly-${calls}`, least, owner)))
  return found
}

test('the rights of the guide allow every call of the fleet, and each of them is needed', async (context) => {
  const { api, setRules } = await account(await control(context))
  await expect.poll(() => forbidden(api)).toEqual([])
  for (const [index, rule] of controllerRules.entries()) {
    for (const verb of rule.verbs) {
      const without = { ...rule, verbs: rule.verbs.filter((each) => each !== verb) }
      const rules = controllerRules.map((each, at) => (at === index ? without : each))
      await setRules(rules.filter(({ verbs }) => verbs.length > 0))
      await expect
        .poll(() => forbidden(api), { message: `without ${verb} of ${rule.resources}` })
        .not.toEqual([])
    }
  }
}, 300_000)

test('a controller with these rights alone starts, replaces and ends its pods, and is refused nothing', async (context) => {
  const running = await start(context, {
    startSeconds: 5,
    classes: [
      { name: 'nowhere', nodesMax: 1, spec: { nodeSelector: { 'no/such': 'machine' } } },
      { name: 'small', nodesMax: 2 },
    ],
  })
  const { cluster, controllers } = running
  const job = await (await cluster.connect()).registerJob(
    'job',
    { capacityBytes: 2 ** 24 },
    { waitSeconds: 60 },
  )
  await job.put('key', 'value')
  await job.deregister()
  await expect.poll(() => cluster.pods()).toEqual([])
  expect(controllers[0]?.log()).not.toMatch(/forbidden/i)
})
