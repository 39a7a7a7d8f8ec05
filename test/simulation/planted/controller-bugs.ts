import type { Planted } from './planted.ts'

/** Decisions of the controller, and resources of clients that are gone. */
export const controllerBugs: readonly Planted[] = [
  {
    name: 'job-lease-never-lapses',
    what: 'A job that nobody uses or ends keeps its reservation for ever.',
    file: 'controller/jobs/lease.ts',
    find: 'usage.usedMs + leaseMs < usage.knownUntilMs',
    replace: 'usage.usedMs + leaseMs < 0',
    profile: 'controller',
    seedsMax: 20,
  },
  {
    name: 'reservation-leaks',
    what: 'What a job had reserved stays counted after its end.',
    file: 'controller/ledger/ledger.ts',
    find: 'this.#accounts.change(this.#jobs.get(job.id) ?? null, job)',
    replace: "if (job.state !== 'ended') this.#accounts.change(this.#jobs.get(job.id) ?? null, job)",
    profile: 'controller',
    seedsMax: 10,
  },
  {
    name: 'warm-nodes-oscillate',
    what: 'Nodes that are kept warm are stopped as idle, and others started in their place.',
    file: 'controller/nodes/warm-nodes.ts',
    find: 'stop: idle.slice(warmNodes),',
    replace: 'stop: idle,',
    profile: 'controller',
    seedsMax: 10,
  },
  {
    name: 'session-never-let-go',
    what: 'A session whose client is gone is kept for ever.',
    file: 'storage-node/sessions/sessions.ts',
    find: 'now - SESSION_KEEP_MS',
    replace: 'now - 1_000 * SESSION_KEEP_MS',
    seedsMax: 10,
  },
]
