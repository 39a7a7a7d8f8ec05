/**
 * - `admin`: everything.
 * - `driver`: registers jobs; sees, changes and ends only its own, with their tickets, history and persistent objects.
 * - `viewer`: sees jobs, nodes, events and metrics; no tickets and no object bytes.
 */
export const roles = ['admin', 'driver', 'viewer'] as const
export type Role = (typeof roles)[number]
