import type { Command } from 'commander'
import { type Cli, type ClusterFlags, clusterOptions, type JsonFlag, jsonOption, onRun } from '../verb.ts'
import { findCredentials } from './credentials.ts'
import type { Credentials } from './http.ts'

/** A request to the controller. */
export interface Asked<Flags> {
  readonly credentials: Credentials
  readonly words: readonly string[]
  readonly flags: Flags
}

interface Reply<Flags, Value> {
  readonly ask: (asked: Asked<Flags>) => Promise<Value>
  readonly text: (value: Value) => string
}

/** Adds the options of a verb that prints what the controller replies: as JSON with --json, else as `text`. */
export function onReply<Flags, Value>(verb: Command, cli: Cli, { ask, text }: Reply<Flags, Value>): void {
  jsonOption(clusterOptions(verb))
  onRun<Flags & ClusterFlags & JsonFlag>(verb, cli, async (words, flags) => {
    const value = await ask({ credentials: findCredentials(flags, cli.config), words, flags })
    cli.terminal.print(flags.json === true ? JSON.stringify(value) : text(value))
  })
}
