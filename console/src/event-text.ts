import type { EventShown } from '../../controller/api/console/snapshot.ts'
import { formatBytes, formatNumber } from './format.ts'

export interface EventText {
  readonly kind: 'info' | 'action' | 'warning' | 'failure'
  readonly text: string
  /** The reason or the numbers behind the event; empty if the event has none. */
  readonly reason: string
}

type Data = Readonly<Record<string, unknown>>

const resources: Readonly<Record<string, string>> = {
  ramBytes: 'RAM',
  ssdBytes: 'SSD',
  bytesPerSecond: 'throughput',
  cores: 'CPU',
}

function loadOf({ resource, load }: Data): string {
  return `${resources[String(resource)] ?? resource} load ${Math.round(Number(load) * 100)} %`
}

function countOf(number: unknown, one: string, many = `${one}s`): string {
  return `${number} ${Number(number) === 1 ? one : many}`
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function sizeOf({ ramBytes, ssdBytes, bytesPerSecond }: Data): string {
  const bytes = Number(ramBytes ?? 0) + Number(ssdBytes ?? 0)
  return `${formatBytes(bytes)} and ${formatBytes(Number(bytesPerSecond ?? 0))}/s`
}

type Describe = (data: Data) => readonly [kind: EventText['kind'], text: string, reason?: string]

const texts: Readonly<Record<string, Describe>> = {
  'job.registering': ({ name }) => ['info', `Job ${name} is being registered`],
  'job.active': ({ name }) => ['info', `Job ${name} is active`],
  'job.resized': () => ['info', 'The hints of a job were changed'],
  'job.scaled': (data) => [
    'action',
    `The controller ${data.grows === false ? 'shrank' : 'grew'} a job to ${sizeOf(data)}`,
    listOf(data.because)
      .filter((each) => each !== '')
      .join('; '),
  ],
  'job.degraded': (data) => ['failure', `A job has only ${sizeOf(data)} left`, String(data.reason ?? '')],
  'job.moved': ({ from, to }) => ['action', `Metadata of a job went from ${from} to ${to}`],
  'job.ended': ({ name, reason }) => ['info', `Job ${name} ended`, String(reason ?? '')],
  'node.starting': (data) => [
    'action',
    `The controller starts a node of class ${data.class}`,
    String(data.because ?? ''),
  ],
  'node.active': (data) => ['info', `A node of class ${data.class} is active`],
  'node.draining': ({ jobs, usedBytes }) => [
    'action',
    `A node drains: ${countOf(jobs, 'job')}, ${formatBytes(Number(usedBytes))} left`,
  ],
  'node.drained': () => ['info', 'A node is empty and stops'],
  'node.silent': ({ silentMs }) => [
    'failure',
    `A node was silent for ${formatNumber(Number(silentMs) / 1000)} s and is stopped`,
  ],
  'node.lost': ({ reason }) => ['failure', 'A node is lost', String(reason ?? '')],
  'node.stopped': () => ['info', 'A node has stopped'],
  'class.scaledOut': (data) => [
    'action',
    `Class ${data.class} grows: ${countOf(listOf(data.started).length, 'new node')}, ${countOf(data.moves, 'move')}`,
    `${loadOf(data)} is above the band on ${countOf(data.nodes, 'node')}`,
  ],
  'class.scaledIn': (data) => ['action', `Class ${data.class} shrinks`, `${loadOf(data)} is below the band`],
  'class.full': (data) => [
    'warning',
    `Class ${data.class} is full: it may have no more than ${countOf(data.nodesMax, 'node')}`,
    `${loadOf(data)} is above the band`,
  ],
  'class.rebalanced': (data) => [
    'action',
    `Class ${data.class} is rebalanced: ${countOf(listOf(data.moves).length, 'move')}`,
    'one of its nodes is above the band',
  ],
  'metadata.starting': ({ metadata, busy }) => [
    'action',
    `Metadata server ${metadata} starts`,
    `the busiest uses ${Math.round(Number(busy) * 100)} % of a core`,
  ],
  'metadata.active': ({ metadata }) => ['info', `Metadata server ${metadata} is active`],
  'task.failing': ({ process, task, reason }) => [
    'warning',
    `Task ${task} of ${process} fails and is retried`,
    String(reason ?? ''),
  ],
  'task.recovered': ({ process, task }) => ['info', `Task ${task} of ${process} works again`],
}

export function describeEvent({ type, data }: EventShown): EventText {
  const describe = texts[type]
  if (describe === undefined) return { kind: 'info', text: type, reason: '' }
  const [kind, text, reason = ''] = describe(data)
  return { kind, text, reason }
}

/** Whether the event is a decision of the controller or a failure. */
export function isDecision(event: EventShown): boolean {
  return describeEvent(event).kind !== 'info'
}

/** Whether an event is about a node, a job or a class. */
export function isAbout({ data }: EventShown, id: string): boolean {
  return JSON.stringify(data).includes(id)
}
