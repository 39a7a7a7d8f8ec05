import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { Registry } from 'prom-client'
import type { PersistedStore } from '../../../service/persisted/persisted-store.ts'
import type { JobLifecycle } from '../../jobs/job-lifecycle.ts'
import type { Registrations } from '../../jobs/registrations.ts'
import type { S3Keys } from '../../jobs/s3-keys.ts'
import type { Tickets } from '../../jobs/tickets.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { MetadataServers } from '../../metadata/servers.ts'
import type { Gateways } from '../../nodes/gateways.ts'
import type { NodeRegistry } from '../../nodes/registry.ts'
import type { Drains } from '../../scaling/drains.ts'
import type { JobTransfers } from '../../scaling/job-transfers.ts'
import type { PageFeed } from '../console/feed.ts'
import type { PageFiles } from '../console/page-files.ts'
import type { Sessions } from '../console/sessions.ts'
import type { EventStreams } from '../event-streams.ts'
import type { Views } from '../views.ts'

/** A Fastify instance that derives the types of bodies from their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** The objects that the routes call. */
export interface Routes {
  readonly jobs: JobLifecycle
  readonly registrations: Registrations
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly drains: Drains
  readonly metadata: MetadataServers
  readonly transfers: JobTransfers
  readonly tickets: Tickets
  readonly s3Keys: S3Keys
  readonly gateways: Gateways
  readonly views: Views
  readonly streams: EventStreams
  readonly metrics: Registry
  readonly persisted: PersistedStore
  readonly sessions: Sessions
  readonly feed: PageFeed
  /** Null where the page was not built. */
  readonly pageFiles: PageFiles | null
}
