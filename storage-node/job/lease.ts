import { MayflyError } from '../../protocol/errors.ts'

/** Until when a metadata server lets this node serve, monotonic ms. Shared by all jobs of that server. */
export interface Lease {
  untilMs: number
}

export function leaseLapsed(): MayflyError {
  return new MayflyError('UNAVAILABLE', 'The node has not heard from metadata for longer than its lease')
}
