import Type from 'typebox'
import { TICKET_SECONDS } from '../../protocol/limits.ts'
import { latencyBoundsMs } from '../../protocol/operations/reports.ts'
import { ADDRESS_BYTES_MAX, TICKET_PREFIX_BYTES_MAX } from '../limits.ts'

/** Requests of the cluster's own processes. They are not part of the public API. */

const metrics = Type.Optional(Type.String({ minLength: 3, maxLength: ADDRESS_BYTES_MAX }))
const count0 = Type.Number({ minimum: 0 })
const tierSize = Type.Object({ capacityBytes: count0, usedBytes: count0 })
const tierReport = Type.Object({
  objects: count0,
  hits: count0,
  demotedObjects: count0,
  demotedBytes: count0,
  promotedObjects: count0,
  promotedBytes: count0,
  droppedMoves: count0,
})

const tierBytesReported = Type.Object({
  ram: Type.Optional(count0),
  ssd: Type.Optional(count0),
  s3: Type.Optional(count0),
})

/** `CapacityRequest` of protocol/operations/reports.ts. */
export const capacityRequest = Type.Object({
  jobs: Type.Array(Type.Object({ id: Type.String(), bytes: tierBytesReported, waitingBytes: count0 })),
})

/** `TaskReport` of protocol/operations/reports.ts. */
const taskReports = Type.Array(
  Type.Object({
    task: Type.String(),
    failures: count0,
    failing: count0,
    reason: Type.String(),
  }),
)

/** `NodeReport` of protocol/operations/reports.ts. */
export const nodeReport = Type.Object({
  class: Type.String(),
  address: Type.String({ minLength: 3, maxLength: ADDRESS_BYTES_MAX }),
  pid: Type.Integer(),
  metrics,
  cpuCores: count0,
  tiers: Type.Object({
    ram: Type.Optional(tierSize),
    ssd: Type.Optional(tierSize),
    s3: Type.Optional(tierSize),
  }),
  bytesPerSecond: count0,
  jobs: Type.Array(
    Type.Object({
      id: Type.String(),
      objects: count0,
      bytes: tierBytesReported,
      tiers: Type.Object({
        ram: Type.Optional(tierReport),
        ssd: Type.Optional(tierReport),
        s3: Type.Optional(tierReport),
      }),
      stored: count0,
      readSquares: count0,
      bytesPerSecond: count0,
      idleMs: count0,
    }),
  ),
  tasks: taskReports,
  calls: Type.Object({
    answered: count0,
    failed: count0,
    latency: Type.Array(count0, {
      minItems: latencyBoundsMs.length + 1,
      maxItems: latencyBoundsMs.length + 1,
    }),
  }),
  ending: Type.Optional(Type.Literal(true)),
})

/** `MetadataReport` of protocol/operations/reports.ts. */
export const metadataReport = Type.Object({
  address: Type.String({ minLength: 3, maxLength: ADDRESS_BYTES_MAX }),
  generation: count0,
  metrics,
  cpuCores: Type.Number({ minimum: 0 }),
  tasks: taskReports,
  dead: Type.Optional(Type.Array(Type.String())),
})

/** `GatewayReport` of protocol/operations/reports.ts. */
export const gatewayReport = Type.Object({
  endpoint: Type.String({ minLength: 8, maxLength: ADDRESS_BYTES_MAX }),
  metrics: Type.String({ minLength: 3, maxLength: ADDRESS_BYTES_MAX }),
})

/** The rights of an access key whose signature a gateway has verified. */
export const gatewayRights = Type.Object({
  read: Type.Boolean(),
  write: Type.Boolean(),
  prefix: Type.String({ maxLength: TICKET_PREFIX_BYTES_MAX }),
  expiresInSeconds: Type.Integer({ minimum: 1, maximum: TICKET_SECONDS }),
})
