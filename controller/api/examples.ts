import { nothingMoved } from '../../protocol/operations/reports.ts'

/** A tier that a job does not use. */
const untouched = { objects: 0, ...nothingMoved }

const job = {
  id: 'j-mvr7rhbuhmpx6aqtdy3wxiobozi5',
  name: 'word-count',
  owner: 'default',
  state: 'active',
  hints: {
    maxFunctions: 64,
    capacityBytes: 67108864,
  },
  sizing: {
    latencyClass: {
      ground: 'default',
      because: 'no hint: RAM first, of ram (p99 1 ms)',
    },
    bytes: {
      asked: 72351744,
      ground: 'hint',
      because: 'hint capacityBytes 67108864, × 17/16 + 1048576 for keys and index',
    },
    bytesPerSecond: {
      asked: 2000000000,
      ground: 'table',
      because: '64 functions × 75000000 bytes/s, cut to all that the cluster can have',
    },
    mixes: [
      {
        nodeClasses: ['small'],
        bytes: {
          ram: 72351744,
          ssd: 0,
          s3: 0,
        },
        pricePerHour: 0.2,
        s3PricePerHour: 0,
        latencyMs: 1,
      },
    ],
  },
  reservation: {
    latencyClass: 'ram',
    bytes: {
      ram: 72351744,
      ssd: 0,
      s3: 0,
    },
    bytesPerSecond: 2000000000,
    nodes: [
      {
        node: 'n-a7rnqn6uzfhoz',
        bytes: {
          ram: 36175872,
          ssd: 0,
          s3: 0,
        },
        bytesPerSecond: 1000000000,
      },
      {
        node: 'n-443vr2gd6bcjl',
        bytes: {
          ram: 36175872,
          ssd: 0,
          s3: 0,
        },
        bytesPerSecond: 1000000000,
      },
    ],
  },
  metadata: 'm-1',
  pricePerHour: 0.2,
  usage: {
    objects: 1200,
    bytes: {
      ram: 31457280,
      ssd: 0,
      s3: 0,
    },
    bytesPerSecond: 4200000,
    tiers: {
      ram: {
        objects: 1200,
        hits: 2400,
        demotedObjects: 0,
        demotedBytes: 0,
        promotedObjects: 0,
        promotedBytes: 0,
        droppedMoves: 0,
      },
      ssd: untouched,
      s3: untouched,
    },
  },
  peak: {
    bytes: 40894464,
    bytesPerSecond: 91000000,
  },
  leaseSeconds: 600,
  leaseExpiresAt: '2026-03-01T12:10:00.000Z',
  createdAt: '2026-03-01T12:00:00.000Z',
}

/** Examples of the named schemas, by name, for /openapi.json. */
export const examples: Readonly<Record<string, unknown>> = {
  Registration: {
    name: 'word-count',
    hints: {
      capacityBytes: 67108864,
      maxFunctions: 64,
    },
    leaseSeconds: 600,
    waitSeconds: 30,
  },
  HintsChange: {
    hints: {
      capacityBytes: 134217728,
    },
  },
  JobMove: {
    metadata: 'm-2',
  },
  TicketGrant: {
    write: false,
    prefix: 'out/',
    expiresInSeconds: 3600,
  },
  S3Grant: {
    write: false,
  },
  S3Access: {
    endpoint: 'http://127.0.0.1:7480',
    accessKeyId: 'AiAAai1yNnFteDdrdHcyYTVjMnl1aGZ6cXg1dmNsNAEBAPZsawAA',
    secretAccessKey: 'cN1mOMcnUbqbSFxMN6DfzqQy7XgQ0vFQ1m8FbXvM0aE',
    expiresAt: '2027-03-01T12:00:00.000Z',
  },
  Ticket: {
    ticket: 'mayfly2.DTEyNy4wLjAuMTo3NDAx',
    expiresAt: '2026-03-01T13:00:00.000Z',
  },
  NewKey: {
    name: 'ci',
    role: 'driver',
    limits: {
      jobs: 20,
      bytes: 1073741824,
    },
  },
  KeyRotation: {
    graceSeconds: 3600,
  },
  Key: {
    name: 'ci',
    role: 'driver',
    limits: {
      jobs: 20,
    },
    source: 'api',
    createdAt: '2026-03-01T12:00:00.000Z',
  },
  KeptObject: {
    job: 'j-mvr7rhbuhmpx6aqtdy3wxiobozi5',
    bucket: 'default',
    key: 'report.csv',
    bytes: 20480,
    expiresAtMs: 0,
  },
  Error: {
    error: {
      code: 'BAD_REQUEST',
      message:
        'hints.capacityBytes must be a whole number from 1 to 1125899906842624. Correct the field that the message names.',
      field: 'hints.capacityBytes',
    },
  },
  Health: {
    status: 'ok',
  },
  Job: job,
  JobWithTicket: { ...job, ticket: 'mayfly2.DTEyNy4wLjAuMTo3NDAx' },
  JobList: { jobs: [job], next: '01772366400000.j-mvr7rhbuhmpx6aqtdy3wxiobozi5' },
  Node: {
    id: 'n-a7rnqn6uzfhoz',
    class: 'small',
    state: 'active',
    address: '127.0.0.1:40001',
    tiers: {
      ram: {
        capacityBytes: 268435456,
        reservedBytes: 36175872,
        usedBytes: 16777216,
        objects: 600,
        hits: 1200,
        demotedObjects: 0,
        demotedBytes: 0,
        promotedObjects: 0,
        promotedBytes: 0,
        droppedMoves: 0,
      },
    },
    bytesPerSecond: {
      capacity: 1000000000,
      reserved: 1000000000,
      used: 2100000,
    },
    cores: {
      capacity: 1,
      used: 0.2,
    },
    pid: 40001,
  },
  Cluster: {
    nodeClasses: [
      {
        name: 'small',
        cores: 1,
        ramBytes: 268435456,
        ssdBytes: 2147483648,
        bytesPerSecond: 1000000000,
        pricePerHour: 0.1,
        nodesMax: 2,
        nodes: 2,
      },
    ],
    warmNodes: 1,
    totals: {
      bytes: {
        ram: {
          limit: 536870912,
          capacity: 536870912,
          asked: 72351744,
          reserved: 72351744,
          used: 0,
          free: 464519168,
        },
        ssd: {
          limit: 0,
          capacity: 0,
          asked: 0,
          reserved: 0,
          used: 0,
          free: 0,
        },
      },
      bytesPerSecond: {
        limit: 2000000000,
        capacity: 2000000000,
        asked: 2000000000,
        reserved: 2000000000,
        used: 7,
        free: 0,
      },
    },
    metadata: [
      {
        id: 'm-1',
        address: '127.0.0.1:40003',
        jobs: 1,
        busy: 0,
        silentMs: 554,
      },
    ],
    waiting: 0,
    limits: {},
    apiKeys: [
      {
        name: 'default',
        role: 'admin',
        limits: {},
        spent: {
          jobs: 1,
          bytes: 72351744,
          bytesPerSecond: 2000000000,
          pricePerHour: 0.2,
        },
      },
    ],
    jobs: {
      registering: 0,
      active: 1,
      ending: 0,
    },
    nodes: {
      starting: 0,
      active: 2,
      draining: 0,
      lost: 0,
    },
  },
}
