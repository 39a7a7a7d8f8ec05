import { Counter, Gauge, Registry } from 'prom-client'
import type { Events } from './events.ts'
import { eventTypes } from './events.ts'
import type { Views } from './views.ts'

/** Prometheus metrics of the cluster, read from its state when they are asked for. */
export function clusterMetrics(views: Views, events: Events): Registry {
  const registry = new Registry()
  const registers = [registry]
  const gauge = <Label extends string>(
    name: string,
    of: {
      help: string
      labelNames: readonly Label[]
      read: () => readonly (readonly [Record<Label, string>, number])[]
    },
  ): void => {
    new Gauge({
      name,
      help: of.help,
      labelNames: of.labelNames,
      registers,
      collect() {
        this.reset()
        for (const [labels, value] of of.read()) this.set(labels, value)
      },
    })
  }
  gauge('mayfly_jobs', {
    help: 'Living jobs by state',
    labelNames: ['state'],
    read: () => Object.entries(views.cluster().jobs).map(([state, jobs]) => [{ state }, jobs]),
  })
  gauge('mayfly_registrations_waiting', {
    help: 'Registrations that wait for room',
    labelNames: [],
    read: () => [[{}, views.cluster().waiting]],
  })
  gauge('mayfly_nodes', {
    help: 'Storage nodes by state',
    labelNames: ['state'],
    read: () => Object.entries(views.cluster().nodes).map(([state, nodes]) => [{ state }, nodes]),
  })
  gauge('mayfly_bytes', {
    help: 'Bytes of the cluster by tier and kind: limit, capacity, asked, reserved, used, free',
    labelNames: ['tier', 'kind'],
    read: () =>
      Object.entries(views.cluster().totals.bytes).flatMap(([tier, totals]) =>
        Object.entries(totals).map(([kind, bytes]) => [{ tier, kind }, bytes] as const),
      ),
  })
  gauge('mayfly_bytes_per_second', {
    help: 'Throughput of the cluster by kind: limit, capacity, asked, reserved, used, free',
    labelNames: ['kind'],
    read: () => Object.entries(views.cluster().totals.bytesPerSecond).map(([kind, rate]) => [{ kind }, rate]),
  })
  new Counter({
    name: 'mayfly_events_total',
    help: 'What happened since the controller started, by type',
    labelNames: ['type'],
    registers,
    collect() {
      this.reset()
      for (const type of eventTypes) this.inc({ type }, events.countOf(type))
    },
  })
  return registry
}
