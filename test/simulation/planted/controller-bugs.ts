import type { Planted } from './planted.ts'

/** Decisions of the controller, and resources of clients that are gone. */
export const controllerBugs: readonly Planted[] = [
  {
    name: 'job-lease-never-lapses',
    what: 'The lease of an unused job never lapses, so its reservation is never released.',
    file: 'controller/jobs/lease.ts',
    find: 'usage.usedMs + leaseMs < usage.knownUntilMs',
    replace: 'usage.usedMs + leaseMs < 0',
    profile: 'controller',
    seedsMax: 20,
  },
  {
    name: 'reservation-leaks',
    what: 'The reservation of an ended job still counts.',
    file: 'controller/ledger/ledger.ts',
    find: 'this.#accounts.change(this.#jobs.get(job.id) ?? null, job)',
    replace: "if (job.state !== 'ended') this.#accounts.change(this.#jobs.get(job.id) ?? null, job)",
    profile: 'controller',
    seedsMax: 10,
  },
  {
    name: 'warm-nodes-oscillate',
    what: 'Warm nodes are stopped as idle, and others are started instead.',
    file: 'controller/nodes/warm-nodes.ts',
    find: 'stop: idle.slice(warmNodes),',
    replace: 'stop: idle,',
    profile: 'controller',
    seedsMax: 10,
  },
  {
    name: 'session-never-let-go',
    what: 'A session whose client is gone is never forgotten.',
    file: 'storage-node/sessions/sessions.ts',
    find: 'now - SESSION_KEEP_MS',
    replace: 'now - 1_000 * SESSION_KEEP_MS',
    seedsMax: 10,
  },
]
