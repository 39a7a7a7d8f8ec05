import Type, { type Static, type TProperties } from 'typebox'
import {
  HINT_BYTES_MAX,
  HINT_BYTES_PER_SECOND_MAX,
  HINT_FUNCTIONS_MAX,
  HINT_LATENCY_MS_MAX,
  HINT_LATENCY_MS_MIN,
  HINT_READS_MAX,
  JOB_LEASE_SECONDS_MAX,
  JOB_LEASE_SECONDS_MIN,
  KEY_GRACE_SECONDS_MAX,
  REGISTRATION_WAIT_SECONDS_MAX,
  TICKET_SECONDS,
} from '../../protocol/limits.ts'
import { JOB_LEASE_SECONDS_DEFAULT, JOB_NAME_BYTES_MAX, TICKET_PREFIX_BYTES_MAX } from '../limits.ts'
import { endReasons, jobStates } from '../records/job.ts'
import { nodeStates } from '../records/node.ts'
import { roles } from '../records/roles.ts'
import { grounds } from '../sizing/rightsizing.ts'

/** All bodies of the HTTP API. Fastify validates requests with these schemas, /openapi.json publishes them, and the types are derived from them. */

const closed = { additionalProperties: false } as const

function object<Properties extends TProperties>(properties: Properties, description?: string) {
  return Type.Object(properties, description === undefined ? closed : { ...closed, description })
}

/** A schema that /openapi.json has once, under its name (`nameSchemas`), with the example of that name. */
export function named<Properties extends TProperties>(
  title: string,
  properties: Properties,
  description?: string,
) {
  return Type.Object(properties, { ...closed, title, ...(description !== undefined && { description }) })
}

const count = Type.Integer({ minimum: 0 })
const amount = Type.Number({ minimum: 0 })
const bytes = Type.Integer({ minimum: 0, description: 'Bytes' })
const bytesPerSecond = Type.Integer({ minimum: 0, description: 'Bytes per second' })
const time = Type.String({ format: 'date-time' })
const tierBytes = named('TierBytes', { ram: bytes, ssd: bytes, s3: bytes }, 'Bytes on each tier')

const activity = {
  objects: Type.Integer({
    minimum: 0,
    description: 'Whose bytes lie there; a large one counts in RAM, where its manifest is',
  }),
  hits: Type.Integer({ minimum: 0, description: 'Reads of objects and chunks that found them there' }),
  demotedObjects: Type.Integer({ minimum: 0, description: 'Objects and chunks that left it downwards' }),
  demotedBytes: bytes,
  promotedObjects: Type.Integer({ minimum: 0, description: 'Objects and chunks that left it for RAM' }),
  promotedBytes: bytes,
  droppedMoves: Type.Integer({
    minimum: 0,
    description: 'Moves from it that came to nothing: the object changed, or the other tier did not take it',
  }),
}
const tierUse = named(
  'TierUse',
  activity,
  'What is there now, and what was done there since the job was registered',
)

function hint(maximum: number, description: string) {
  return Type.Optional(Type.Integer({ minimum: 1, maximum, description }))
}

const hints = named('Hints', {
  latencySensitive: Type.Optional(
    Type.Boolean({ description: 'RAM first, the default without latencyMs; or the cheapest tiers' }),
  ),
  latencyMs: Type.Optional(
    Type.Number({
      minimum: HINT_LATENCY_MS_MIN,
      maximum: HINT_LATENCY_MS_MAX,
      description: 'Only tiers on which the 99th percentile of a small get is at most this, in milliseconds',
    }),
  ),
  maxFunctions: hint(HINT_FUNCTIONS_MAX, 'Functions that run at once at the peak'),
  capacityBytes: hint(HINT_BYTES_MAX, 'Payload at the peak; keys and index come on top'),
  peakBytesPerSecond: hint(HINT_BYTES_PER_SECOND_MAX, 'Reads and writes together at the peak'),
  readsPerObject: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: HINT_READS_MAX,
      description: 'How often an object is read once it is written, on average; 1 where it is missing',
    }),
  ),
})

export const registration = named('Registration', {
  name: Type.String({
    minLength: 1,
    maxLength: JOB_NAME_BYTES_MAX,
    pattern: '^[^\\u0000-\\u001f\\u007f]*$',
    description: 'Any text without control characters',
  }),
  hints: Type.Optional(hints),
  leaseSeconds: Type.Optional(
    Type.Integer({
      minimum: JOB_LEASE_SECONDS_MIN,
      maximum: JOB_LEASE_SECONDS_MAX,
      description: `The job ends once nobody used it for this long; ${JOB_LEASE_SECONDS_DEFAULT} where it is missing`,
    }),
  ),
  waitSeconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: REGISTRATION_WAIT_SECONDS_MAX,
      description: 'How long to wait for room, behind those that came before; 0, the default: not at all',
    }),
  ),
})

export const hintsChange = named('HintsChange', { hints })

const reservation = named('Reservation', {
  latencyClass: Type.String({ description: 'The tier where new bytes go first' }),
  bytes: tierBytes,
  bytesPerSecond,
  nodes: Type.Array(object({ node: Type.String(), bytes: tierBytes, bytesPerSecond })),
})

const reason = object({
  ground: Type.Enum(grounds),
  because: Type.String({ description: 'The arithmetic' }),
})

const mix = named('TierMix', {
  nodeClasses: Type.Array(Type.String(), { description: 'By whose nodes and prices it is measured' }),
  bytes: tierBytes,
  pricePerHour: Type.Number({ description: 'A part of nodes, and what S3 charges' }),
  s3PricePerHour: Type.Number({ description: 'What S3 charges of that' }),
  latencyMs: Type.Number({ description: 'p99 of a small get, averaged over the bytes' }),
})

const sizing = named(
  'Sizing',
  {
    latencyClass: reason,
    bytes: object({ asked: bytes, ground: Type.Enum(grounds), because: Type.String() }),
    bytesPerSecond: object({ asked: bytesPerSecond, ground: Type.Enum(grounds), because: Type.String() }),
    mixes: Type.Array(mix, {
      description: 'Ways to split the bytes over the tiers, the best first: that is the one that was taken',
    }),
  },
  'Why the job reserves what it does: an explicit hint, else what earlier runs of its name used, else a table',
)

const jobProperties = {
  id: Type.String(),
  name: Type.String(),
  owner: Type.String({ description: 'Name of the API key that registered it' }),
  state: Type.Enum(jobStates),
  hints,
  sizing,
  reservation,
  metadata: Type.String({ description: 'Id of the metadata server that decides for it' }),
  pricePerHour: Type.Number({
    description: 'The part of its nodes that it keeps from others, by their price',
  }),
  usage: object({
    objects: count,
    bytes: tierBytes,
    bytesPerSecond,
    tiers: object({ ram: tierUse, ssd: tierUse, s3: tierUse }, 'Each tier, over all nodes of the job'),
  }),
  peak: object(
    { bytes, bytesPerSecond },
    'The most that it used at a time, as later jobs of its name learn it',
  ),
  leaseSeconds: count,
  leaseExpiresAt: time,
  createdAt: time,
  endReason: Type.Optional(Type.Enum(endReasons)),
}

export const job = named('Job', jobProperties)
export type JobView = Static<typeof job>

export const jobWithTicket = named('JobWithTicket', {
  ...jobProperties,
  ticket: Type.Optional(Type.String({ description: 'For the functions of the job, while it is active' })),
})

export const jobMove = named('JobMove', {
  metadata: Type.String({ minLength: 1, maxLength: 64, description: 'Id of the server that is to have it' }),
})

const next = Type.Optional(
  Type.String({ description: 'The `after` of the next page; missing on the last one' }),
)

export const jobList = named('JobList', { jobs: Type.Array(job), next })

export const node = named('Node', {
  id: Type.String(),
  class: Type.String(),
  state: Type.Enum(nodeStates),
  address: Type.String({ description: 'host:port, empty until it reported' }),
  pid: Type.Optional(Type.Integer()),
  tiers: Type.Record(
    Type.String(),
    object(
      { capacityBytes: bytes, reservedBytes: bytes, usedBytes: bytes, ...activity },
      'Its bytes, and what the jobs that the node has now have done there',
    ),
    { description: 'ram, ssd and s3, as far as the node has them' },
  ),
  bytesPerSecond: object({ capacity: bytesPerSecond, reserved: bytesPerSecond, used: bytesPerSecond }),
  cores: object({ capacity: amount, used: amount }, 'CPU of its process, averaged over a second'),
  left: Type.Optional(
    object({ jobs: count, objects: count, usedBytes: bytes }, 'What a node that drains still holds'),
  ),
})
export type NodeView = Static<typeof node>

export const nodeList = named('NodeList', { nodes: Type.Array(node), next })

const amounts = { jobs: amount, bytes: amount, bytesPerSecond: amount, pricePerHour: amount }
const spent = named('Spent', amounts, 'What living jobs have reserved')
const quota = Type.Partial(object(amounts), {
  ...closed,
  title: 'Quota',
  description: 'What living jobs together may have; what is missing is not limited',
})

const total = named('Totals', {
  limit: Type.Integer({ description: 'With as many nodes as the classes allow' }),
  capacity: Type.Integer({ description: 'Of the nodes that run or start' }),
  asked: Type.Integer({ description: 'By the hints of all living jobs' }),
  reserved: Type.Integer(),
  used: Type.Integer(),
  free: Type.Integer({ description: 'Of the capacity, reserved by nobody' }),
})

export const cluster = named('Cluster', {
  nodeClasses: Type.Array(
    object({
      name: Type.String(),
      cores: Type.Number(),
      ramBytes: bytes,
      ssdBytes: bytes,
      bytesPerSecond,
      pricePerHour: Type.Number(),
      nodesMax: count,
      nodes: Type.Integer({ description: 'How many run or start' }),
    }),
  ),
  warmNodes: count,
  totals: object({ bytes: object({ ram: total, ssd: total }), bytesPerSecond: total }),
  metadata: Type.Array(
    object({
      id: Type.String(),
      address: Type.String(),
      jobs: count,
      busy: Type.Number({ description: 'The share of one core that it used over the last second' }),
      silentMs: count,
    }),
  ),
  waiting: Type.Integer({ description: 'Registrations that wait for room' }),
  limits: quota,
  apiKeys: Type.Array(object({ name: Type.String(), role: Type.Enum(roles), limits: quota, spent })),
  jobs: Type.Record(Type.String(), count, { description: 'How many living jobs are in which state' }),
  nodes: Type.Record(Type.String(), count, { description: 'How many nodes are in which state' }),
})
export type ClusterView = Static<typeof cluster>

export const metricsTargets = Type.Array(
  named('MetricsTarget', {
    targets: Type.Array(Type.String({ description: 'host:port' })),
    labels: Type.Record(Type.String(), Type.String(), {
      description: 'plane, process, and the class of a node',
    }),
  }),
)

export const consoleLink = named('ConsoleLink', {
  path: Type.String({ description: 'Of the URL of this controller' }),
  expiresAt: time,
})
export type ConsoleLinkView = Static<typeof consoleLink>

export const health = named('Health', { status: Type.Literal('ok') })

const keyName = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'Who registers with it: jobs, limits, history and persisted objects go by it',
})
const keyRole = Type.Enum(roles, {
  description: 'admin: everything; driver: its own jobs alone; viewer: sees, without tickets and objects',
})

export const keyParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 63 }) })

const limit = Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const newLimits = named(
  'NewLimits',
  {
    jobs: limit,
    bytes: limit,
    bytesPerSecond: limit,
    pricePerHour: Type.Optional(Type.Number({ minimum: 0, maximum: 1e6 })),
  },
  'As in the config file; what is missing is not limited',
)

export const newKey = named('NewKey', { name: keyName, role: keyRole, limits: Type.Optional(newLimits) })

export const keyRotation = named('KeyRotation', {
  graceSeconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: KEY_GRACE_SECONDS_MAX,
      description: 'How long the key before is still taken; 0, the default: not at all',
    }),
  ),
})

const keyProperties = {
  name: Type.String(),
  role: keyRole,
  limits: quota,
  source: Type.Enum(['config', 'api'] as const, { description: 'Where it can be changed' }),
  createdAt: Type.Optional(time),
  rotatedAt: Type.Optional(time),
}

export const keyShown = named('Key', keyProperties)
export const keyList = named('KeyList', { keys: Type.Array(keyShown) })
export const keyWithSecret = named('KeyWithSecret', {
  ...keyProperties,
  key: Type.String({ description: 'The key itself, which is shown this once' }),
})

const readAndWrite = {
  read: Type.Optional(Type.Boolean({ description: 'True where it is missing' })),
  write: Type.Optional(Type.Boolean({ description: 'True where it is missing' })),
}
const PREFIX_MEANING = 'Keys that begin so alone, in every bucket; all where it is missing'
const grantedPrefix = (description: string) =>
  Type.Optional(Type.String({ maxLength: TICKET_PREFIX_BYTES_MAX, description }))

export const ticketGrant = named('TicketGrant', {
  ...readAndWrite,
  prefix: grantedPrefix(`${PREFIX_MEANING}. Buckets are then neither created nor deleted`),
  expiresInSeconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: TICKET_SECONDS,
      description: `${TICKET_SECONDS} where it is missing`,
    }),
  ),
})

export const s3Grant = named('S3Grant', { ...readAndWrite, prefix: grantedPrefix(PREFIX_MEANING) })

export const s3Access = named('S3Access', {
  endpoint: Type.String({ description: 'URL of a gateway' }),
  accessKeyId: Type.String(),
  secretAccessKey: Type.String(),
  expiresAt: time,
})

export const ticketIssued = named('Ticket', { ticket: Type.String(), expiresAt: time })

/** `PersistedStat` of service/persisted/persisted-store.ts. */
export const keptObject = named('KeptObject', {
  job: Type.String(),
  bucket: Type.String(),
  key: Type.String(),
  bytes: amount,
  expiresAtMs: Type.Integer({
    minimum: 0,
    description: 'Since the Unix epoch; 0 where it stays until it is removed',
  }),
})

export const keptPage = named('KeptPage', {
  objects: Type.Array(keptObject),
  next,
})
