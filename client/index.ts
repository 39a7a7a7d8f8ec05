export type { ErrorCode } from '../protocol/errors.ts'
export { MayflyError } from '../protocol/errors.ts'
export type {
  Hints,
  Mayfly,
  RegisteredJob,
  RegisterOptions,
  Registration,
  Reservation,
  TicketGrant,
} from './connect.ts'
export { connect } from './connect.ts'
export type { Job, ObjectStat } from './job.ts'
export { openJob } from './job.ts'
export type { ListEntry } from './objects/listing.ts'
export type { PutOutcome } from './objects/put-many.ts'
export { PutManyError } from './objects/put-many.ts'
export type { ByteSource } from './objects/put-stream.ts'
export type {
  CallerOptions,
  GetManyOptions,
  GetOptions,
  GetStreamOptions,
  JobOptions,
  KeyOptions,
  ListOptions,
  PutEntry,
  PutOptions,
  Range,
} from './options.ts'
export type { Kept, KeptListOptions, KeptName, KeptObject } from './persisted.ts'
