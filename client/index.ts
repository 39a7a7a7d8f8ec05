export type { ErrorCode } from '../protocol/errors.ts'
export { MayflyError } from '../protocol/errors.ts'
export type { ConnectOptions, Mayfly, RegisterOptions } from './connect.ts'
export { connect } from './connect.ts'
export type { Job } from './job.ts'
export { openJob } from './job.ts'
export type { ListEntry } from './objects/listing.ts'
export type { Bytes } from './objects/object-fields.ts'
export type { PutOutcome } from './objects/put-many.ts'
export { PutManyError } from './objects/put-many.ts'
export type { ByteSource } from './objects/put-stream.ts'
export type { ObjectStat, ObjectWithMetadata } from './objects/stat.ts'
export type {
  CallerOptions,
  GetJsonOptions,
  GetManyOptions,
  GetOptions,
  GetStreamOptions,
  GetWithMetadataOptions,
  Hints,
  JobOptions,
  KeyOptions,
  ListOptions,
  ObjectOptions,
  PutEntry,
  PutOptions,
  PutStreamOptions,
  Range,
  RetryEvent,
  Span,
  TicketGrant,
  Tracer,
} from './options.ts'
export type { Kept, KeptListOptions, KeptName, KeptObject } from './persisted.ts'
export type { PresignOptions, S3Credentials, S3Grant } from './presign.ts'
export type { JobInfo, RegisteredJob, Registration, Reservation } from './registration.ts'
