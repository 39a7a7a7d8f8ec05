import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { Registry } from 'prom-client'
import type { KeptStore } from '../../service/kept/kept-store.ts'
import type { Drains } from '../drains.ts'
import type { EventStreams } from '../event-streams.ts'
import type { Growth } from '../growth.ts'
import type { JobMoves } from '../job-moves.ts'
import type { Jobs } from '../jobs.ts'
import type { Ledger } from '../ledger.ts'
import type { MetadataServers } from '../metadata-servers.ts'
import type { Nodes } from '../nodes.ts'
import type { Registrations } from '../registrations.ts'
import type { Relocations } from '../relocations.ts'
import type { Repair } from '../repair.ts'
import type { Tickets } from '../tickets.ts'
import type { Usage } from '../usage.ts'
import type { Views } from '../views.ts'

/** Fastify, with the types of bodies taken from their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** What the routes serve. */
export interface Routes {
  readonly jobs: Jobs
  readonly registrations: Registrations
  readonly usage: Usage
  readonly ledger: Ledger
  readonly nodes: Nodes
  readonly metadata: MetadataServers
  readonly repair: Repair
  readonly drains: Drains
  readonly relocations: Relocations
  readonly growth: Growth
  readonly moves: JobMoves
  readonly tickets: Tickets
  readonly views: Views
  readonly streams: EventStreams
  readonly metrics: Registry
  readonly kept: KeptStore
}
