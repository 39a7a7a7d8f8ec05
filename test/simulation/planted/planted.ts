/** One text of a plane and what stands in its place. */
interface Edit {
  readonly file: string
  /** Stands in the file exactly once, or the build fails and names the bug: a planted bug cannot rot. */
  readonly find: string
  readonly replace: string
}

/** A bug that is built into the planes to see whether the simulation catches it. */
export interface Planted extends Edit {
  readonly name: string
  /** What goes wrong with it, and the invariant of ARCHITECTURE.md that it attacks. */
  readonly what: string
  /** Where one place is not enough: a bug that a second check would hide, or a name that has to be imported. */
  readonly also?: readonly Edit[]
  /** The profile that meets it, see `profiles.ts`; the usual mixture where none is named. */
  readonly profile?: string
  /** Of the seeds from 1 to this one, at least one fails. */
  readonly seedsMax: number
}
