/** Of `getStream`, for the command alone: memory for the next part of so many bytes, instead of a Buffer of its own. */
export const partMemory: unique symbol = Symbol('memory of parts')

export type PartMemory = (bytes: number) => Buffer | undefined
