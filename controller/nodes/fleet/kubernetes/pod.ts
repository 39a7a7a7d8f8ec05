import { createHash } from 'node:crypto'
import type { V1Container, V1OwnerReference, V1Pod, V1PodTemplateSpec } from '@kubernetes/client-node'
import type { NodeClass } from '../../../sizing/node-class.ts'
import { DRAIN_MARGIN_SECONDS, GRACE_SECONDS_DEFAULT, REASON_LENGTH_MAX } from './limits.ts'

/** Labels of Mayfly's own; the others are those that Kubernetes recommends. */
const NODE_LABEL = 'mayfly/node'
const CLASS_LABEL = 'mayfly/class'
const TEMPLATE_LABEL = 'mayfly/template'
export const METADATA_LABEL = 'mayfly/metadata'
/** `true` on the pod of the controller that leads. A Service that selects it has that pod alone. */
export const LEADER_LABEL = 'mayfly/leads'

export type Component = 'storage-node' | 'metadata'

export function labelsOf(instance: string, component: Component): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'mayfly',
    'app.kubernetes.io/instance': instance,
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/managed-by': 'mayfly-controller',
  }
}

export function selectorOf(instance: string, component: Component): string {
  return Object.entries(labelsOf(instance, component))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** The controllers that have the label of the leader; the chart makes their pods, and not the fleet. */
export function leaderSelector(instance: string): string {
  return `app.kubernetes.io/instance=${instance},${LEADER_LABEL}=true`
}

export function podName(instance: string, node: string): string {
  return `${instance}-${node}`
}

export interface NodePodOptions {
  readonly instance: string
  readonly node: string
  readonly nodeClass: NodeClass
  readonly owner: V1OwnerReference
}

/** The pod of a storage node: the template of its class, with what makes it this node. It lives once. */
export function nodePod(template: V1PodTemplateSpec, of: NodePodOptions): V1Pod {
  const { instance, node, nodeClass, owner } = of
  const spec = { containers: [], ...template.spec, restartPolicy: 'Never' }
  const graceSeconds = spec.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT
  const settings = {
    MAYFLY_NODE_ID: node,
    MAYFLY_NODE_CLASS: nodeClass.name,
    MAYFLY_NODE_RAM_BYTES: String(nodeClass.ramBytes),
    MAYFLY_NODE_SSD_BYTES: String(nodeClass.ssdBytes),
    MAYFLY_NODE_BYTES_PER_SECOND: String(nodeClass.bytesPerSecond),
  }
  const byDefault = { MAYFLY_DRAIN_SECONDS: String(Math.max(0, graceSeconds - DRAIN_MARGIN_SECONDS)) }
  const labels = {
    ...template.metadata?.labels,
    ...labelsOf(instance, 'storage-node'),
    [NODE_LABEL]: node,
    [CLASS_LABEL]: nodeClass.name,
    [TEMPLATE_LABEL]: templateHash(template, nodeClass),
  }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...template.metadata, name: podName(instance, node), labels, ownerReferences: [owner] },
    spec: { ...spec, containers: withEnvironment(spec.containers, settings, byDefault) },
  }
}

/** The containers, of which the first gets these variables. It keeps its own value of one in `byDefault`. */
export function withEnvironment(
  [first, ...others]: readonly V1Container[],
  settings: Readonly<Record<string, string>>,
  byDefault: Readonly<Record<string, string>> = {},
): V1Container[] {
  if (first === undefined) return []
  const own = (first.env ?? []).filter(({ name }) => settings[name] === undefined)
  const names = new Set(own.map(({ name }) => name))
  const added = {
    ...Object.fromEntries(Object.entries(byDefault).filter(([name]) => !names.has(name))),
    ...settings,
  }
  // First, so that other variables may refer to them.
  const env = [...Object.entries(added).map(([name, value]) => ({ name, value })), ...own]
  return [{ ...first, env }, ...others]
}

/** Names what the pods of a class are made from. */
function templateHash(
  template: V1PodTemplateSpec,
  { ramBytes, ssdBytes, bytesPerSecond }: NodeClass,
): string {
  const made = JSON.stringify([template, ramBytes, ssdBytes, bytesPerSecond])
  return createHash('sha256').update(made).digest('hex').slice(0, 10)
}

/** Whether the pod was made from another template than this. */
export function isOutdated({ metadata }: V1Pod, template: V1PodTemplateSpec, nodeClass: NodeClass): boolean {
  return metadata?.labels?.[TEMPLATE_LABEL] !== templateHash(template, nodeClass)
}

export function nodeOf({ metadata }: V1Pod): string | null {
  return metadata?.labels?.[NODE_LABEL] ?? null
}

export function classOf({ metadata }: V1Pod): string | null {
  return metadata?.labels?.[CLASS_LABEL] ?? null
}

/**
 * - `waiting`: its container has not started. `isFailing`: Kubernetes has tried, and tries again.
 * - `running`: its container has started, as far as is known. A machine that is lost does not change that.
 * - `ended`: its container has terminated, which proves the death of the node.
 * - `over`: Kubernetes says that it is over, and not what became of its container.
 */
export type PodState =
  | { readonly is: 'waiting'; readonly isFailing: boolean; readonly reason: string | null }
  | { readonly is: 'running' }
  | { readonly is: 'ended'; readonly reason: string }
  | { readonly is: 'over'; readonly reason: string }

/** What the kubelet says of a container that it did not find: it has not seen it terminate. */
const UNSEEN = 'ContainerStatusUnknown'
/** What every container passes through. */
const ON_THE_WAY = ['ContainerCreating', 'PodInitializing']

export function stateOf({ spec, status }: V1Pod): PodState {
  const name = spec?.containers[0]?.name
  const { state } = status?.containerStatuses?.find((each) => each.name === name) ?? {}
  const ofPod = textOf(status?.reason, status?.message)
  if (state?.terminated !== undefined && state.terminated.reason !== UNSEEN) {
    const { exitCode, reason, message } = state.terminated
    return { is: 'ended', reason: joined([ofPod, `exit code ${exitCode}`, textOf(reason, message)]) }
  }
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded')
    return { is: 'over', reason: joined([ofPod, failedInit(status) ?? `its pod is ${status.phase}`]) }
  if (state?.running !== undefined || state?.terminated !== undefined) return { is: 'running' }
  const waiting = [
    state?.waiting,
    ...(status?.initContainerStatuses ?? []).map((init) => init.state?.waiting),
  ]
  const failing = waiting.find((each) => each?.reason !== undefined && !ON_THE_WAY.includes(each.reason))
  if (failing !== undefined)
    return { is: 'waiting', isFailing: true, reason: joined([textOf(failing.reason, failing.message)]) }
  const unscheduled = status?.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  )
  const why = textOf(unscheduled?.reason, unscheduled?.message)
  return { is: 'waiting', isFailing: false, reason: why === null ? null : joined([why]) }
}

function failedInit({ initContainerStatuses = [] }: NonNullable<V1Pod['status']>): string | null {
  const failed = initContainerStatuses.find(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0)
  return failed === undefined
    ? null
    : `its init container ${failed.name} ended with exit code ${failed.state?.terminated?.exitCode}`
}

function textOf(reason: string | undefined, message: string | undefined): string | null {
  const parts = [reason, message?.trim()].filter((part) => part !== undefined && part !== '')
  return parts.length === 0 ? null : parts.join(': ')
}

function joined(parts: readonly (string | null)[]): string {
  return parts
    .filter((part) => part !== null)
    .join('; ')
    .slice(0, REASON_LENGTH_MAX)
}

/** Whether it counts as healthy where Kubernetes decides whether another pod may be disrupted. */
function isReady({ metadata, status }: V1Pod): boolean {
  if (metadata?.deletionTimestamp !== undefined) return false
  return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

/**
 * How many pods of storage nodes have to stay: all that are ready but one, or all while one is being deleted. Kubernetes takes only such a
 * number for pods that no Deployment owns.
 */
export function minAvailable(pods: readonly V1Pod[]): number {
  const ready = pods.filter(isReady).length
  const isDisrupted = pods.some((pod) => pod.metadata?.deletionTimestamp !== undefined && !hasEnded(pod))
  return Math.max(0, isDisrupted ? ready : ready - 1)
}

function hasEnded(pod: V1Pod): boolean {
  const { is } = stateOf(pod)
  return is === 'ended' || is === 'over'
}
