/**
 * - `admin`: everything.
 * - `driver`: registers jobs; sees, changes and ends its own alone, with their tickets, history and kept objects.
 * - `viewer`: sees jobs, nodes, events and metrics; no ticket and no byte of an object.
 */
export const roles = ['admin', 'driver', 'viewer'] as const
export type Role = (typeof roles)[number]
